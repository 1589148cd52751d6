//! The sample data: made by its generator, in gridlock, and the plain reference it is judged by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use quittance_cli::demo::bilateral;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::gross;
use quittance_cli::demo::input::{Input, Payment, Source};
use quittance_ledger::ids::InstitutionId;
use quittance_tests::expected::Expected;
use quittance_tests::{reference, sample};

/// With `WRITE_SAMPLE=1` in the environment this test writes the files that it otherwise compares.
#[test]
fn the_shipped_files_are_what_the_generator_makes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/data");
    let (positions, payments) = sample::generate(sample::SEED);
    for (name, content) in [("positions.csv", positions), ("payments.csv", payments)] {
        let path = data.join(name);
        if std::env::var_os("WRITE_SAMPLE").is_some() {
            std::fs::write(&path, &content).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "{name}");
    }
}

#[test]
fn netting_settles_what_paying_one_by_one_cannot() {
    let input = Input::sample().unwrap();
    assert_eq!(input.banks().len(), 10);
    assert_eq!(input.payments.len(), 200);
    // Currency, payments, settled in the order of the file, in repeated passes, by netting.
    for (currency, count, in_order, in_passes, netted) in
        [(Currency::Eur, 120, 3, 21, 98), (Currency::Usd, 80, 1, 10, 71)]
    {
        let outcome = reference::net(&input, currency);
        assert_eq!(input.payments_in(currency).count(), count);
        assert_eq!(reference::pay_in_order(&input, currency), in_order);
        assert_eq!(reference::pay_in_passes(&input, currency), in_passes);
        assert_eq!(gross::settled(&input, currency), in_passes);
        assert_eq!(outcome.prefix.values().sum::<usize>(), netted);
        assert!(in_passes < netted && netted < count, "some settle only jointly, some not at all");
    }
}

/// Two banks that owe each other 5 and have 1 and 0: the smallest gridlock. The third payment waits.
#[test]
fn the_smallest_gridlock() {
    let input = Input::parse(
        &Source::new("positions.csv", "institution,currency,balance\nAAAAZZ01,EUR,1\n"),
        &Source::new(
            "payments.csv",
            "id,payer,payee,currency,amount\n\
             1,AAAAZZ01,BBBBZZ01,EUR,5\n\
             2,BBBBZZ01,AAAAZZ01,EUR,5\n\
             3,AAAAZZ01,BBBBZZ01,EUR,3\n",
        ),
    )
    .unwrap();
    let outcome = reference::net(&input, Currency::Eur);
    assert_eq!(outcome.prefix.into_values().collect::<Vec<_>>(), [1, 1]);
    assert_eq!(reference::pay_in_passes(&input, Currency::Eur), 0);
}

fn bank(index: usize) -> InstitutionId {
    format!("BNK{index}ZZ01").parse().expect("a name like a BIC")
}

/// Few banks, few payments, small amounts: ties and cycles are frequent.
fn small_input() -> impl Strategy<Value = Input> {
    let positions = prop::collection::vec(0u64..6, 4);
    let payments = prop::collection::vec((0..4usize, 1..4usize, 1u64..7), 0..9);
    (positions, payments).prop_map(|(balances, drawn)| {
        let positions = balances.into_iter().enumerate();
        let payments = drawn.into_iter().enumerate();
        Input {
            positions: positions.map(|(i, b)| ((Currency::Jpy, bank(i)), b)).collect(),
            payments: payments
                .map(|(number, (payer, step, amount))| Payment {
                    id: number.to_string(),
                    payer: bank(payer),
                    payee: bank((payer + step) % 4),
                    currency: Currency::Jpy,
                    amount,
                })
                .collect(),
        }
    })
}

/// Every choice of a prefix per payer that leaves nobody below zero.
fn feasible(input: &Input) -> Vec<BTreeMap<InstitutionId, usize>> {
    let mut queues: BTreeMap<InstitutionId, Vec<&Payment>> = BTreeMap::new();
    for payment in &input.payments {
        queues.entry(payment.payer).or_default().push(payment);
    }
    let mut choices = vec![BTreeMap::new()];
    for payer in input.banks() {
        let length = queues.get(&payer).map_or(0, Vec::len);
        choices = choices
            .iter()
            .flat_map(|choice| {
                (0..=length).map(move |prefix| {
                    let mut longer: BTreeMap<_, _> = choice.clone();
                    longer.insert(payer, prefix);
                    longer
                })
            })
            .collect();
    }
    choices.retain(|choice| {
        let mut balances: BTreeMap<_, i128> = input
            .banks()
            .into_iter()
            .map(|bank| (bank, input.position(Currency::Jpy, bank).into()))
            .collect();
        for (payer, queue) in &queues {
            for payment in &queue[..choice[payer]] {
                *balances.get_mut(payer).expect("a bank") -= i128::from(payment.amount);
                *balances.get_mut(&payment.payee).expect("a bank") += i128::from(payment.amount);
            }
        }
        balances.values().all(|balance| *balance >= 0)
    });
    choices
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Section 8: the maximum is unique. It is feasible, and at least every feasible choice.
    #[test]
    fn the_reference_finds_the_greatest_feasible_prefixes(input in small_input()) {
        let found = reference::net(&input, Currency::Jpy).prefix;
        let all = feasible(&input);
        prop_assert!(all.contains(&found));
        for choice in all {
            for (payer, prefix) in choice {
                prop_assert!(prefix <= found[&payer]);
            }
        }
    }

    /// What can be paid one by one, in any order, nets too.
    #[test]
    fn paying_one_by_one_reaches_no_further(input in small_input()) {
        let netted: usize = reference::net(&input, Currency::Jpy).prefix.values().sum();
        let in_passes = reference::pay_in_passes(&input, Currency::Jpy);
        prop_assert!(reference::pay_in_order(&input, Currency::Jpy) <= in_passes);
        prop_assert!(in_passes <= netted);
        prop_assert_eq!(gross::settled(&input, Currency::Jpy), in_passes);
    }
}

/// Nothing is created, nobody is overdrawn, each payment has one fate, and what the sample run does
/// after the rounds can be paid.
#[test]
fn the_sample_adds_up() {
    let input = Input::sample().unwrap();
    let expected = Expected::of(&input);
    for (currency, banks) in &expected.net {
        assert_eq!(banks.values().sum::<i128>(), 0, "{currency}");
    }
    assert!(expected.balances.values().flat_map(BTreeMap::values).all(|balance| *balance >= 0));
    let mut all = [&expected.settled[..], &expected.queued].concat();
    all.sort();
    assert_eq!(all, (1..=200).map(|number| format!("P{number:03}")).collect::<Vec<_>>());

    let balances = |currency| -> bilateral::Balances {
        let banks = expected.balances[&currency].iter();
        banks.map(|(bank, balance)| (*bank, (*balance).try_into().unwrap())).collect()
    };
    let plan = bilateral::plan(&balances(Currency::Eur), &balances(Currency::Usd)).unwrap();
    assert_eq!(plan.transfers.len(), 2);
}

#[test]
fn differences_from_the_reference_are_found() {
    let input = Input::sample().unwrap();
    let expected = Expected::of(&input);
    let amounts = |amounts: &BTreeMap<Currency, BTreeMap<InstitutionId, i128>>| {
        let mut json = serde_json::json!({});
        for (currency, banks) in amounts {
            for (bank, amount) in banks {
                json[currency.code()][bank.as_str()] = currency.format(*amount).into();
            }
        }
        json
    };
    let report = serde_json::json!({
        "settled": expected.settled,
        "queued": expected.queued,
        "net": amounts(&expected.net),
        "balances": amounts(&expected.balances),
        "rounds": [],
    });
    assert_eq!(expected.differences(&report), [""; 0]);
    for (field, place, wrong) in [
        ("settled", "/settled/3", serde_json::json!("P999")),
        ("queued", "/queued", serde_json::json!([])),
        ("net", "/net/EUR/ALBAZZ21", serde_json::json!("0.01")),
        ("balances", "/balances/USD/JURAZZ21", serde_json::json!(1)),
    ] {
        let mut report = report.clone();
        *report.pointer_mut(place).unwrap() = wrong;
        let found = expected.differences(&report);
        assert!(found.len() == 1 && found[0].starts_with(field), "{found:?}");
    }
}

#[test]
fn no_bank_of_the_sample_has_the_name_of_a_real_one() {
    let banks: BTreeSet<String> =
        Input::sample().unwrap().banks().iter().map(|bank| bank.to_string()).collect();
    assert_eq!(banks, sample::BANKS.iter().map(|bank| bank.to_string()).collect());
    assert!(banks.iter().all(|bank| &bank[4..6] == "ZZ"));
}
