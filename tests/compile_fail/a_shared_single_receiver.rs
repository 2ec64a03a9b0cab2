use annulus::channel::{self, Select};

fn main() {
    let (_tx, rx) = channel::mpsc::<u8>(1);
    let mut select = Select::new();
    let _case = select.recv(&rx);
}
