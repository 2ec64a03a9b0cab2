use annulus::channel::{Select, rendezvous};

fn main() {
    let (tx, _rx) = rendezvous::channel::<u8>();
    let mut select = Select::new();
    let _case = select.send(&tx);
}
