//! How adapters are found and bought: search, the paying proxy, tools for agents.
