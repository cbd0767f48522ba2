//! Trees as npm's merkle-tree makes them, and a call's money to the millionth.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address as RawAddress, B256, U256, keccak256},
    sol_types::SolValue,
};
use openlora_chain::merkle::{MerkleTree, leaf};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, MOST_ENTRIES, PaymentScheme, ReceiverKey, divide,
    event::{AttributedAmount, ContributorShare, SplitMember, SplitPart, SplitRead},
    next_tranche,
};
use proptest::prelude::*;
use serde::Deserialize;

use crate::paths::repository;

#[derive(Deserialize)]
struct Golden {
    trees: Vec<Tree>,
}

#[derive(Deserialize)]
struct Tree {
    leaves: Vec<(RawAddress, RawAddress, String)>,
    hashes: Vec<B256>,
    root: B256,
    proofs: Vec<Proof>,
}

#[derive(Deserialize)]
struct Proof {
    leaf: usize,
    proof: Vec<B256>,
}

/// The root that a proof leads to, as OpenZeppelin's `MerkleProof` computes it.
fn root_from_proof(leaf: B256, proof: &[B256]) -> B256 {
    proof.iter().fold(leaf, |hash, sibling| {
        keccak256([hash.min(*sibling).0, hash.max(*sibling).0].concat())
    })
}

#[test]
fn trees_are_those_of_the_package_from_npm() {
    let path = repository().join("tests/data/merkle/trees.json");
    let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(golden.trees.len(), 9);
    for tree in golden.trees {
        let hashes: Vec<B256> = tree
            .leaves
            .iter()
            .map(|(token, who, sum)| {
                let sum: U256 = sum.parse().unwrap();
                leaf(&(*token, *who, sum).abi_encode())
            })
            .collect();
        assert_eq!(hashes, tree.hashes);
        let made = MerkleTree::new(&hashes).unwrap();
        assert_eq!(made.root(), tree.root);
        for Proof { leaf, proof } in tree.proofs {
            assert_eq!(made.proof(leaf).unwrap(), proof);
            assert_eq!(root_from_proof(hashes[leaf], &proof), tree.root);
        }
        assert_eq!(made.proof(hashes.len()), None);
    }
    assert_eq!(MerkleTree::new(&[]), None);
}

fn address(number: u8) -> Address {
    Address([number; 20])
}

fn charge(amount: u128) -> CallCharge {
    CallCharge {
        scheme: PaymentScheme::Exact,
        chain_id: 31_337,
        token: address(1),
        receiver: address(2),
        payer: address(3),
        id: Word([4; 32]),
        amount: Amount(amount),
        cumulative: Amount(amount),
    }
}

fn pool() -> ReceiverKey {
    ReceiverKey {
        chain_id: 31_337,
        receiver: address(9),
        token: address(1),
    }
}

fn split(pool_ppm: u32) -> SplitRead {
    let parts = [
        (address(8), 1_000_000 - pool_ppm, 0),
        (address(9), pool_ppm, 1),
    ];
    SplitRead {
        receiver: charge(0).receiver_key(),
        adapter: "tone".into(),
        version: 1,
        parts: parts
            .map(|(recipient, ppm, members)| SplitPart {
                recipient,
                ppm,
                members: vec![
                    SplitMember {
                        account: address(10),
                        ppm: 1_000_000,
                    };
                    members
                ],
            })
            .to_vec(),
    }
}

fn shares(parts: &[u64]) -> Vec<ContributorShare> {
    let weights: Vec<u128> = parts.iter().map(|it| u128::from(*it)).collect();
    let ppm = openlora_ledger::apportion(1_000_000, &weights);
    let share = |(at, ppm): (usize, u64)| ContributorShare {
        contributor: at.to_string(),
        address: Some(address(10 + at as u8)),
        ppm: ppm as u32,
    };
    ppm.into_iter().enumerate().map(share).collect()
}

fn sum(amounts: &[AttributedAmount]) -> u128 {
    amounts.iter().map(|it| it.micro.0).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_parts_of_a_charge_sum_to_it(
        amount in prop_oneof![0_u128..1_000, Just(u128::from(u64::MAX)), 0_u128..1 << 80],
        pool_ppm in 0_u32..=1_000_000,
        parts in prop::collection::vec(1_u64..1_000, 1..20),
        event in any::<[u8; 32]>(),
    ) {
        let shares = shares(&parts);
        let amounts = divide(&charge(amount), Some(&split(pool_ppm)), &shares, &event);
        prop_assert_eq!(sum(&amounts), amount * 1_000_000);
        let pooled: Vec<AttributedAmount> =
            amounts.iter().filter(|it| it.pool.is_some()).cloned().collect();
        prop_assert_eq!(sum(&pooled), amount * u128::from(pool_ppm));
        for it in &pooled {
            prop_assert_eq!(it.pool, Some(pool()));
            let share = shares.iter().find(|share| share.address == it.address).unwrap();
            let exact = amount * u128::from(pool_ppm) / 1_000_000 * u128::from(share.ppm);
            prop_assert!(it.micro.0.abs_diff(exact) <= 1_000_000);
        }
        // Who is behind the receiver is not known: it gets everything.
        let whole = divide(&charge(amount), None, &shares, &event);
        prop_assert_eq!(sum(&whole), amount * 1_000_000);
    }

    #[test]
    fn a_proposal_gives_what_is_missing_and_no_more_than_there_is(
        steps in prop::collection::vec((0_u128..10_000, 0_usize..4, 0_u128..5_000), 1..30),
    ) {
        let people: Vec<Address> = (0..4).map(|it| address(10 + it)).collect();
        let mut owed: BTreeMap<Address, Amount> = BTreeMap::new();
        let (mut had, mut given) = (BTreeMap::<Address, Amount>::new(), Amount::ZERO);
        let mut statically = Amount::ZERO;
        for (earned, who, divided) in steps {
            // Now and then static shares divide something, in equal parts.
            let part = Amount(if divided < 500 { divided } else { 0 });
            for person in &people {
                let sum = had.entry(*person).or_default();
                *sum = sum.saturating_add(part);
                given = given.saturating_add(part);
                statically = statically.saturating_add(part);
            }
            let sum = owed.entry(people[who]).or_default();
            *sum = sum.saturating_add(Amount(earned));
            let list: Vec<_> = owed.iter().map(|(who, sum)| (*who, *sum)).collect();
            let total: Amount = owed.values().copied().sum();
            let budget = total.saturating_sub(given);
            let entries = next_tranche(&list, &had, budget);
            let sum: Amount = entries.iter().map(|(_, amount)| *amount).sum();
            prop_assert!(sum <= budget);
            for (who, amount) in entries {
                let before = had.entry(who).or_default();
                prop_assert!(!amount.is_zero());
                prop_assert!(before.saturating_add(amount) <= owed[&who], "more than is owed");
                *before = before.saturating_add(amount);
                given = given.saturating_add(amount);
            }
            // Without static shares everybody has exactly what is owed.
            if statically.is_zero() {
                prop_assert_eq!(&had.iter().filter(|it| !it.1.is_zero()).collect::<Vec<_>>(),
                    &owed.iter().filter(|it| !it.1.is_zero()).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn the_largest_go_first_where_there_are_too_many() {
    let who = |at: u16| {
        Address(
            [[0; 18].as_slice(), &at.to_be_bytes()]
                .concat()
                .try_into()
                .unwrap(),
        )
    };
    let owed: Vec<(Address, Amount)> = (0..300)
        .map(|at| (who(at), Amount(1 + u128::from(at))))
        .collect();
    let total: Amount = owed.iter().map(|it| it.1).sum();
    let first = next_tranche(&owed, &BTreeMap::new(), total);
    assert_eq!(first.len(), MOST_ENTRIES);
    assert_eq!(first[0], (who(100), Amount(101)));
    let had: BTreeMap<Address, Amount> = first.iter().copied().collect();
    let given: Amount = had.values().copied().sum();
    let rest = next_tranche(&owed, &had, total.saturating_sub(given));
    assert_eq!(rest, owed[..100]);
    // Numbers beyond any token's still end below what there is.
    let half = Amount(u128::MAX / 2);
    let huge = [(who(1), half), (who(2), half)];
    let entries = next_tranche(&huge, &BTreeMap::new(), half);
    let sum = entries
        .iter()
        .fold(Amount::ZERO, |sum, it| sum.checked_add(it.1).unwrap());
    assert!(!sum.is_zero() && sum <= half);
}
