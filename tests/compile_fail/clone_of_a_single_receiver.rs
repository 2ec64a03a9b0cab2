fn main() {
    let (_tx, rx) = annulus::channel::mpsc::<u8>(1);
    let _second = rx.clone();
}
