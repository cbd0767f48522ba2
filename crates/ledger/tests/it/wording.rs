//! What is said of sums and shares: in the units that people know.

use openlora_core::Amount;
use openlora_ledger::{RevenueShare, SponsorLimit, check_split};

#[test]
fn gas_is_told_in_coins() {
    let amount = |thousandths: u128| Amount(thousandths * 1_000_000_000_000_000);
    let budget = SponsorLimit::GasBudget {
        spent: amount(12),
        reserve: amount(1_500),
        budget: amount(1_000),
        day: 3,
    };
    assert_eq!(
        budget.to_string(),
        "0.012 ETH are spent or on their way, and 1.5 more would break the daily gas budget of 1"
    );
    let floor = SponsorLimit::Floor {
        left: amount(70),
        reserve: Amount(1),
        floor: amount(69),
    };
    assert_eq!(
        floor.to_string(),
        "the account has 0.07 ETH beside what is on its way, and 0.069 of them stay for its own \
         claims: 0.000000000000000001 more are too much"
    );
}

#[test]
fn shares_are_told_in_percent() {
    let share = |role: &str, ppm| RevenueShare {
        role: role.to_owned(),
        address: None,
        ppm,
    };
    let refused = |shares: &[RevenueShare]| check_split(shares).unwrap_err().to_string();
    assert_eq!(
        refused(&[share("creator", 599_999), share("contributors", 400_000)]),
        "the shares sum to 99.9999 % (creator 59.9999 %, contributors 40 %), expected 100 %"
    );
    assert_eq!(
        refused(&[share("creator", 0), share("contributors", 1_000_000)]),
        "the share of creator is 0 %, expected at least 0.0001 %"
    );
}
