//! What strangers say of proxies changes nothing of what they are sold.

use serde_json::json;

use super::shop::{Shop, required};
use crate::{
    serve_support::{chat, reply},
    settlement_support::Market,
};

#[test]
fn strangers_do_not_choose_the_address_that_they_called() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let path = "/v1/chat/completions";
    let request = || {
        shop.server
            .client
            .post(shop.server.url(path))
            .json(&chat("persona", "hi"))
    };
    let told = request()
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-for", "10.0.0.1")
        .header("forwarded", "for=10.0.0.1;host=evil.example;proto=https");
    let (plain, told) = (shop.wait(reply(request())), shop.wait(reply(told)));
    let (plain, told) = (required(&plain), required(&told));
    assert_eq!(plain["resource"], told["resource"]);
    assert_eq!(told["resource"]["url"], json!(shop.server.url(path)));
    shop.close();
}
