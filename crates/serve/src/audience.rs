//! Who may use a route.

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteAudience {
    /// Every client that reaches the address.
    Anyone,
    /// Clients with the operator's token, from any address.
    Operator,
    /// Sellers that settle through this server. They need a token of their own, unless the operator
    /// makes the facilitator public.
    Sellers,
}
