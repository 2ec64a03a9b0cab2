fn main() {
    let (tx, _rx) = annulus::channel::spsc::<u8>(1);
    let _second = tx.clone();
}
