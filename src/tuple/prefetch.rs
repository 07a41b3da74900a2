//! Tells the processor which memory is wanted next.
//!
//! Where the cores of two threads share no cache, a line takes 200 ns from one to the other, and
//! stores wait for it one behind another (`benches/tuple-path.md`).

/// A line that will be written soon: fetched as this core's own, so that the store need not wait.
/// Any address will do; what is no memory of ours has no effect.
#[inline(always)]
pub(super) fn for_writing<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads and writes nothing, never faults, and changes no flags.
    unsafe {
        std::arch::asm!(
            "prefetchw byte ptr [{}]",
            in(reg) place,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
