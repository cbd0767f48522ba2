//! Memory of this machine.

/// Memory that programs can still take, in bytes.
pub fn free_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.available_memory()
}
