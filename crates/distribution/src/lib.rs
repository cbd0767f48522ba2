//! Where packages come from and go to: registries, hubs, folders, and the store.
