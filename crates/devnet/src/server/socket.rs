//! One WebSocket: requests as over HTTP, and subscriptions to new heads, logs and transactions.

use std::{collections::BTreeMap, sync::Arc};

use alloy::rpc::types::Filter;
use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::NodeHandle;
use crate::{notice::BlockNotice, rpc::RpcParams, rpc_error::RpcError};

#[derive(Clone, Debug)]
enum SubscriptionTopic {
    Heads,
    Logs(Box<Filter>),
    Transactions,
    Syncing,
}

#[derive(Clone, Debug)]
struct Subscription {
    topic: SubscriptionTopic,
    /// The newest block at the start of the subscription; earlier blocks are not reported.
    since: u64,
}

/// The subscriptions of a connection, by id.
#[derive(Clone, Debug, Default)]
struct SubscriptionTable {
    open: BTreeMap<u64, Subscription>,
    last_id: u64,
}

/// Serves a connection until one side closes it.
pub(super) async fn serve(mut socket: WebSocket, node: NodeHandle) {
    let Some(mut notices) = node.ask(|rpc_state| rpc_state.chain.subscribe()).await else {
        return;
    };
    let mut subscriptions = SubscriptionTable::default();
    loop {
        tokio::select! {
            () = node.stop.cancelled() => break,
            heard = notices.recv() => match heard {
                Ok(notice) => {
                    for message in subscriptions.messages(&notice) {
                        if socket.send(Message::text(message.to_string())).await.is_err() {
                            return;
                        }
                    }
                }
                // The connection is closed, because silently missed blocks would be worse.
                Err(RecvError::Lagged(_) | RecvError::Closed) => break,
            },
            message = socket.recv() => {
                let body = match message {
                    Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                    Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                let Some(answer) = answer(&node, &mut subscriptions, body).await else {
                    continue;
                };
                if socket.send(Message::text(answer.to_string())).await.is_err() {
                    return;
                }
            }
        }
    }
    // The peer may have closed the connection already.
    let _ = socket.send(Message::Close(None)).await;
}

async fn answer(
    node: &NodeHandle,
    subscriptions: &mut SubscriptionTable,
    body: Vec<u8>,
) -> Option<Value> {
    let mut changed = subscriptions.clone();
    let (answer, changed) = node
        .ask(move |rpc_state| {
            let since = rpc_state.chain.head().0;
            let answer = rpc_state.answer(&body, &mut |method, params| match method {
                "eth_subscribe" => Some(changed.subscribe(params, since)),
                "eth_unsubscribe" => Some(changed.unsubscribe(params)),
                _ => None,
            });
            (answer, changed)
        })
        .await?;
    *subscriptions = changed;
    answer
}

impl SubscriptionTable {
    fn subscribe(&mut self, params: &RpcParams<'_>, since: u64) -> Result<Value, RpcError> {
        let kind: String = params.get(0, "subscription")?;
        let topic = match kind.as_str() {
            "newHeads" => SubscriptionTopic::Heads,
            "logs" => {
                let filter: Option<Filter> = params.optional(1, "filter")?;
                SubscriptionTopic::Logs(Box::new(filter.unwrap_or_default()))
            }
            "newPendingTransactions" => SubscriptionTopic::Transactions,
            "syncing" => SubscriptionTopic::Syncing,
            other => {
                return Err(RpcError::invalid(format!(
                    "unknown variant `{other}`, expected one of `newHeads`, `logs`, `newPendingTransactions`, `syncing`"
                )));
            }
        };
        self.last_id += 1;
        self.open
            .insert(self.last_id, Subscription { topic, since });
        Ok(json!(format!("{:#x}", self.last_id)))
    }

    fn unsubscribe(&mut self, params: &RpcParams<'_>) -> Result<Value, RpcError> {
        let id: String = params.get(0, "subscription")?;
        let id = id.strip_prefix("0x").unwrap_or(&id);
        let id = u64::from_str_radix(id, 16).unwrap_or_default();
        Ok(json!(self.open.remove(&id).is_some()))
    }

    /// The messages for a notice, in the order of the subscriptions.
    fn messages(&self, notice: &Arc<BlockNotice>) -> Vec<Value> {
        let number = notice.header.as_ref().map(|header| header.number);
        self.open
            .iter()
            .filter(|(_, one)| number.is_none_or(|number| number > one.since))
            .flat_map(|(id, one)| {
                let news = one.topic.news(notice);
                news.into_iter().map(|result| message(*id, &result))
            })
            .collect()
    }
}

fn message(id: u64, result: &Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": { "subscription": format!("{id:#x}"), "result": result },
    })
}

impl SubscriptionTopic {
    fn news(&self, notice: &BlockNotice) -> Vec<Value> {
        match self {
            Self::Heads => notice.header.iter().map(|header| json!(header)).collect(),
            Self::Logs(filter) => {
                let wanted = notice.logs.iter().filter(|log| filter.rpc_matches(log));
                wanted.map(|log| json!(log)).collect()
            }
            Self::Transactions => notice.transactions.iter().map(|hash| json!(hash)).collect(),
            Self::Syncing => Vec::new(),
        }
    }
}
