fn main() {
    let (_tx, rx) = annulus::channel::mpmc::<u8>(1);
    if let Ok(mut rx) = rx.close().into_closed() {
        rx.try_recv();
    }
}
