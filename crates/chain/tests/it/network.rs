//! Networks as people see them.

use openlora_chain::network::{Network, NetworkOptions};
use openlora_core::Amount;

#[test]
fn an_amount_is_in_units_where_the_token_is_known() {
    let network = Network::resolve("base-sepolia", &NetworkOptions::default()).unwrap();
    let token = network.token.clone().unwrap();
    let address = token.address.to_string();
    assert_eq!(network.token_amount(&address, Amount(500)), "0.0005 USDC");
    assert_eq!(network.token_amount(&address, Amount(2_000_000)), "2 USDC");
    let other = "0x1111111111111111111111111111111111111111";
    assert_eq!(
        network.token_amount(other, Amount(500)),
        "500 base units of 0x1111111111111111111111111111111111111111"
    );
}
