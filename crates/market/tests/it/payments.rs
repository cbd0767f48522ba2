//! Where a call may still be bought after one server has failed.

use openlora_market::PurchaseError;
use reqwest::StatusCode;
use serde_json::json;

#[test]
fn a_call_is_bought_elsewhere_only_before_a_payment_has_left() {
    let server = || "https://shop.example".to_owned();
    let unreachable = || PurchaseError::Unreachable {
        server: server(),
        problem: "does not answer".to_owned(),
    };
    let foreign = || PurchaseError::Foreign {
        server: server(),
        problem: "it answers 404".to_owned(),
    };
    let busy = || PurchaseError::Refused {
        server: server(),
        status: StatusCode::TOO_MANY_REQUESTS,
        envelope: json!({ "error": { "message": "busy" } }),
    };
    for error in [unreachable(), foreign(), busy()] {
        assert!(error.is_servers_own(), "{error}");
    }
    for error in [unreachable(), foreign(), busy()] {
        let text = error.to_string();
        let late = PurchaseError::AfterPayment(Box::new(error));
        assert_eq!((late.is_servers_own(), late.to_string()), (false, text));
    }
}
