//! Calls a reader that panics on some damaged files.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// The result of `read`, or none if it panicked. The panic message is suppressed, because the
/// caller reports the error of the file.
pub(super) fn catch_panic<T>(read: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic);
            }
        }));
    });
    GUARDED.set(true);
    // After a panic the reader is not used again.
    let done = panic::catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    done.ok()
}
