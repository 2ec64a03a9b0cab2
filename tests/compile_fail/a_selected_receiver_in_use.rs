use annulus::channel::{self, Select};

fn main() {
    let (_tx, mut rx) = channel::mpsc::<u8>(1);
    let mut select = Select::new();
    let case = select.recv(&mut rx);
    let _ = rx.try_recv();
    drop(select);
    drop(case);
}
