use annulus::channel::{self, Select};

fn main() {
    let (_tx, mut rx) = channel::spsc::<u8>(1);
    let mut select = Select::new();
    let _first = select.recv(&mut rx);
    let _second = select.recv(&mut rx);
    select.select();
}
