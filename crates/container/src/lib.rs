//! Light containers of adapters: image layouts, and the jail that runs them.
