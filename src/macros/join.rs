//! `join!` and `try_join!`.

/// Waits for several futures on this task, and gives a tuple of their outputs.
///
/// They take turns on this one task; to have them run on several processors,
/// [`spawn`](crate::spawn) them.
///
/// # Examples
///
/// ```
/// use annulus::{channel, join};
///
/// let (mut tx, mut rx) = channel::spsc(1);
/// let (sent, received) = annulus::block_on(async {
///     join!(async { tx.send(7).await.is_ok() }, rx.recv())
/// });
/// assert_eq!((sent, received), (true, Some(7)));
/// ```
#[macro_export]
macro_rules! join {
    // A future a step, with a name that is this step's own.
    (@ { $($done:tt)* } $f:expr $(, $($rest:tt)*)?) => {
        $crate::join!(@ { $($done)* [($f) future] } $($($rest)*)?)
    };
    (@ { $([($f:expr) $future:ident])+ }) => {{
        $(let mut $future = $crate::__private::pin!($crate::__private::MaybeDone::new($f));)+
        $crate::__private::poll_fn(|cx| {
            let mut done = true;
            $(done &= $future.as_mut().poll_done(cx);)+
            if done { ::core::task::Poll::Ready(()) } else { ::core::task::Poll::Pending }
        })
        .await;
        ($($future.as_mut().take(),)+)
    }};
    ($($futures:tt)+) => { $crate::join!(@ {} $($futures)+) };
}

/// Waits for several futures on this task: for all if they are `Ok`, or for the first `Err`.
///
/// # Errors
///
/// The first error; the other futures are dropped.
///
/// # Examples
///
/// ```
/// use annulus::try_join;
///
/// annulus::block_on(async {
///     assert_eq!(try_join!(async { Ok::<_, &str>(1) }, async { Ok("two") }), Ok((1, "two")));
///     let failed = try_join!(std::future::pending::<Result<i32, &str>>(), async { Err::<i32, _>("no") });
///     assert_eq!(failed, Err("no"));
/// });
/// ```
#[macro_export]
macro_rules! try_join {
    // As in `join!`.
    (@ { $($done:tt)* } $f:expr $(, $($rest:tt)*)?) => {
        $crate::try_join!(@ { $($done)* [($f) future] } $($($rest)*)?)
    };
    (@ { $([($f:expr) $future:ident])+ }) => {{
        $(let mut $future = $crate::__private::pin!($crate::__private::MaybeDone::new($f));)+
        $crate::__private::poll_fn(|cx| {
            let mut done = true;
            $(
                done &= $future.as_mut().poll_done(cx);
                if $future.as_mut().has_failed() {
                    return ::core::task::Poll::Ready($future.as_mut().take().map(|_| ()));
                }
            )+
            match done {
                true => ::core::task::Poll::Ready(::core::result::Result::Ok(())),
                false => ::core::task::Poll::Pending,
            }
        })
        .await
        .map(|()| ($($crate::__private::ok($future.as_mut().take()),)+))
    }};
    ($($futures:tt)+) => { $crate::try_join!(@ {} $($futures)+) };
}
