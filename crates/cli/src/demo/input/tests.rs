use super::*;

const POSITIONS: &str = "institution,currency,balance\nAAAAZZ01,EUR,10.50\nBBBBZZ01,JPY,7\n";
const PAYMENTS: &str = "id,payer,payee,currency,amount\nP1,AAAAZZ01,BBBBZZ01,EUR,1.25\n\
                        P2,CCCCZZ01XXX,AAAAZZ01,JPY,3\n";

fn parse(positions: &str, payments: &str) -> Result<Input, Problems> {
    Input::parse(&Source::new("positions.csv", positions), &Source::new("payments.csv", payments))
}

/// The messages for a payments file with these lines after its header.
fn payment_problems(lines: &str) -> Vec<String> {
    let payments = format!("id,payer,payee,currency,amount\n{lines}");
    messages(parse(POSITIONS, &payments))
}

/// The messages for a positions file with these lines after its header.
fn position_problems(lines: &str) -> Vec<String> {
    messages(parse(&format!("institution,currency,balance\n{lines}"), PAYMENTS))
}

fn messages(result: Result<Input, Problems>) -> Vec<String> {
    result.unwrap_err().to_string().lines().map(str::to_owned).collect()
}

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

#[test]
fn well_formed_files_are_read() {
    let input = parse(POSITIONS, PAYMENTS).unwrap();
    assert_eq!(input.position(Currency::Eur, id("AAAAZZ01")), 1050);
    assert_eq!(input.position(Currency::Jpy, id("BBBBZZ01")), 7);
    assert_eq!(input.position(Currency::Jpy, id("CCCCZZ01XXX")), 0);
    assert_eq!(
        input.banks().into_iter().collect::<Vec<_>>(),
        [id("AAAAZZ01"), id("BBBBZZ01"), id("CCCCZZ01XXX")]
    );
    assert_eq!(input.currencies().into_iter().collect::<Vec<_>>(), [Currency::Eur, Currency::Jpy]);
    let expected = Payment {
        id: "P1".to_owned(),
        payer: id("AAAAZZ01"),
        payee: id("BBBBZZ01"),
        currency: Currency::Eur,
        amount: 125,
    };
    assert_eq!(input.payments[0], expected);
    assert_eq!(input.payments_in(Currency::Jpy).collect::<Vec<_>>(), [&input.payments[1]]);
}

#[test]
fn spreadsheets_leave_marks_that_change_nothing() {
    let expected = parse(POSITIONS, PAYMENTS).unwrap();
    let dressed = |text: &str| format!("\u{FEFF}{}\r\n\r\n", text.replace('\n', "\r\n"));
    assert_eq!(parse(&dressed(POSITIONS), &dressed(PAYMENTS)).unwrap(), expected);
    let quoted = PAYMENTS.replace("P1", "\"P1\"").replace("1.25", "\"1.25\"");
    assert_eq!(parse(POSITIONS, &quoted).unwrap(), expected);
    assert_eq!(parse(POSITIONS.trim_end(), PAYMENTS.trim_end()).unwrap(), expected);
}

#[test]
fn each_malformed_field_is_named_with_its_line() {
    for (line, reason) in [
        ("P1,AAAAZZ01,BBBBZZ01,GBP,1", r#"unknown currency "GBP"; known are EUR, JPY and USD"#),
        ("P1,AAAAZZ01,BBBBZZ01,eur,1", r#"unknown currency "eur"; known are EUR, JPY and USD"#),
        ("P1,AAAAZZ01,BBBBZZ01,EUR,-1", r#""-1" is negative"#),
        (
            "P1,AAAAZZ01,BBBBZZ01,EUR,1.005",
            r#""1.005" is too precise: 3 decimals where the asset has 2"#,
        ),
        (
            "P1,AAAAZZ01,BBBBZZ01,JPY,1.0",
            r#""1.0" is too precise: 1 decimals where the asset has 0"#,
        ),
        ("P1,AAAAZZ01,BBBBZZ01,EUR,0.00", r#""0.00" is zero; the amount must be above zero"#),
        ("P1,AAAAZZ01,AAAAZZ01,EUR,1", "AAAAZZ01 pays itself"),
        (
            "P1,AAAAZZ01,VALDZZ01,EUR,1",
            "VALDZZ01 is the name of one of the demonstration's own institutions",
        ),
        (
            "P1,CBNKZZ01,AAAAZZ01,EUR,1",
            "CBNKZZ01 is the name of one of the demonstration's own institutions",
        ),
        ("P1,AAAAZZ01,BBBBZZ01,EUR", "4 fields instead of 5"),
        ("P1,AAAAZZ01,BBBBZZ01,EUR,1,000.00", "6 fields instead of 5"),
        (
            ",AAAAZZ01,BBBBZZ01,EUR,1",
            r#""" is not a payment id: 1 to 35 printable ASCII characters"#,
        ),
        (
            "Pé,AAAAZZ01,BBBBZZ01,EUR,1",
            r#""Pé" is not a payment id: 1 to 35 printable ASCII characters"#,
        ),
        (
            "P\r1,AAAAZZ01,BBBBZZ01,EUR,1",
            r#""P\r1" is not a payment id: 1 to 35 printable ASCII characters"#,
        ),
        (
            "123456789012345678901234567890123456,AAAAZZ01,BBBBZZ01,EUR,1",
            r#""123456789012345678901234567890123456" is not a payment id: 1 to 35 printable ASCII characters"#,
        ),
        (
            "P1,AAAAZZ01,BBBBZZ01,EUR,184467440737095516.16",
            "\"184467440737095516.16\" is too large: the largest amount is 184467440737095516.15",
        ),
    ] {
        assert_eq!(payment_problems(line), [format!("payments.csv:2: {reason}")], "{line}");
    }
    for (line, reason) in [
        ("AAAAZZ01,EUR,-0.01", r#""-0.01" is negative"#),
        ("AAAAZZ01,CHF,1", r#"unknown currency "CHF"; known are EUR, JPY and USD"#),
        ("AAAAZZ01,EUR", "2 fields instead of 3"),
        ("MPCBZZ01,EUR,1", "MPCBZZ01 is the name of one of the demonstration's own institutions"),
    ] {
        assert_eq!(position_problems(line), [format!("positions.csv:2: {reason}")], "{line}");
    }
    for bad in ["aaaazz01", "AAAAZZ0", "AAAA1Z01", " AAAAZZ01", "AAAAZZ01 ", ""] {
        let [problem] = &payment_problems(&format!("P1,AAAAZZ01,{bad},EUR,1"))[..] else {
            panic!("{bad:?}")
        };
        assert!(problem.starts_with(&format!("payments.csv:2: {bad:?} is not an institution id")));
    }
}

#[test]
fn all_problems_of_both_files_are_told_in_order() {
    let positions = "institution,currency,balance\nAAAAZZ01,EUR,1\n\nAAAAZZ01,EUR,2\nB,XYZ,1\n";
    let payments = "id,payer,payee,currency,amount\nP1,AAAAZZ01,AAAAZZ01,EUR,0\n\
                    \"open,AAAAZZ01,BBBBZZ01,EUR,1\nP1,BBBBZZ01,AAAAZZ01,USD,1.1\n";
    assert_eq!(
        messages(parse(positions, payments)),
        [
            "positions.csv:4: AAAAZZ01 has a balance in EUR on line 2 already",
            "positions.csv:5: \"B\" is not an institution id: 4 letters or digits, 2 letters, 2 letters \
         or digits, then nothing or 3 letters or digits, in capitals",
            r#"positions.csv:5: unknown currency "XYZ"; known are EUR, JPY and USD"#,
            r#"payments.csv:2: "0" is zero; the amount must be above zero"#,
            "payments.csv:2: AAAAZZ01 pays itself",
            "payments.csv:3: 1 fields instead of 5",
            r#"payments.csv:4: the payment id "P1" is used on line 2 already"#,
        ]
    );
}

#[test]
fn a_duplicate_is_found_behind_a_malformed_line() {
    let lines = "P1,AAAAZZ01,BBBBZZ01,EUR,x\nP1,AAAAZZ01,BBBBZZ01,EUR,1\n";
    assert_eq!(payment_problems(lines).len(), 2);
    assert_eq!(position_problems("AAAAZZ01,EUR,x\nAAAAZZ01,EUR,1\n").len(), 2);
}

#[test]
fn the_first_line_names_the_columns() {
    let reason = r#"payments.csv:1: the first line must be "id,payer,payee,currency,amount""#;
    for header in ["", "id,payee,payer,currency,amount", "P1,AAAAZZ01,BBBBZZ01,EUR,1", "\u{FEFF}"] {
        let payments = PAYMENTS.replace("id,payer,payee,currency,amount", header);
        assert_eq!(messages(parse(POSITIONS, &payments)), [reason]);
    }
    assert_eq!(
        messages(parse("", PAYMENTS)),
        [r#"positions.csv:1: the first line must be "institution,currency,balance""#]
    );
}

#[test]
fn what_is_not_text_is_refused() {
    let payments = Source {
        name: "q".to_owned(),
        bytes: [PAYMENTS.as_bytes(), b"P3,\xFF,B,EUR,1\n"].concat(),
    };
    let problems = Input::parse(&Source::new("p", POSITIONS), &payments).unwrap_err();
    assert_eq!(problems.to_string(), "q:4: not UTF-8 text");
}

#[test]
fn balances_of_one_currency_fit_the_issuers_debt() {
    let half = "AAAAZZ01,EUR,92233720368547758.08\nBBBBZZ01,EUR,92233720368547758.07\n";
    let other = "CCCCZZ01,USD,92233720368547758.08\n";
    assert!(parse(&format!("institution,currency,balance\n{half}{other}"), PAYMENTS).is_ok());
    let one_more = format!("{half}{other}CCCCZZ01,EUR,0.01\n");
    assert_eq!(
        position_problems(&one_more),
        ["positions.csv:5: the balances in EUR up to this line sum to more than \
         184467440737095516.15 EUR"]
    );
}

/// Inflows may exceed 64 bits; the netting is built for it.
#[test]
fn payments_may_sum_to_more_than_any_balance() {
    let lines = "P1,AAAAZZ01,BBBBZZ01,JPY,18446744073709551615\n\
                 P2,AAAAZZ01,BBBBZZ01,JPY,18446744073709551615\n";
    let payments = format!("id,payer,payee,currency,amount\n{lines}");
    assert_eq!(parse(POSITIONS, &payments).unwrap().payments.len(), 2);
}

fn ring(banks: usize) -> String {
    let bank = |index: usize| format!("BN{:02}ZZ01", index % banks);
    let lines = (0..banks).map(|i| format!("P{i},{},{},EUR,1\n", bank(i), bank(i + 1)));
    format!("id,payer,payee,currency,amount\n{}", lines.collect::<String>())
}

#[test]
fn the_number_of_banks_is_limited() {
    let none = "institution,currency,balance\n";
    let one = "institution,currency,balance\nAAAAZZ01,EUR,1\n";
    let no_payments = "id,payer,payee,currency,amount\n";
    assert_eq!(
        messages(parse(one, no_payments)),
        ["positions.csv:2: the two files name fewer than 2 banks"]
    );
    assert_eq!(
        messages(parse(none, no_payments)),
        ["positions.csv:1: the two files name fewer than 2 banks"]
    );
    assert_eq!(parse(none, &ring(2)).unwrap().banks().len(), 2);
    assert_eq!(parse(none, &ring(40)).unwrap().banks().len(), 40);
    let expected = ["payments.csv:41: BN40ZZ01 is one bank more than the limit of 40"];
    assert_eq!(messages(parse(none, &ring(41))), expected);
    assert_eq!(
        messages(parse(none, &ring(45))),
        ["payments.csv:41: BN40ZZ01 is one bank more than the limit of 40"]
    );
}

#[test]
fn the_number_of_payments_is_limited() {
    let lines = |count: usize| {
        (0..count).map(|i| format!("{i},AAAAZZ01,BBBBZZ01,EUR,1\n")).collect::<String>()
    };
    let payments = format!("id,payer,payee,currency,amount\n{}", lines(MAX_PAYMENTS));
    assert_eq!(parse(POSITIONS, &payments).unwrap().payments.len(), MAX_PAYMENTS);
    let expected = format!("payments.csv:{}: more than 10000 payments", MAX_PAYMENTS + 2);
    assert_eq!(payment_problems(&lines(MAX_PAYMENTS + 3)), [expected]);
}

#[test]
fn a_flood_of_problems_is_counted_not_printed() {
    let problems = payment_problems(&"x\n".repeat(70));
    assert_eq!(problems.len(), Problems::KEPT + 1);
    assert_eq!(problems[49], "payments.csv:51: 1 fields instead of 5");
    assert_eq!(problems[50], "and 20 more");
}

#[test]
fn files_that_cannot_be_read_are_told_together() {
    let missing = Input::read(Path::new("no/such/p.csv"), Path::new("no/such/q.csv")).unwrap_err();
    let files: Vec<&str> = missing.first().iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(files, ["no/such/p.csv", "no/such/q.csv"]);
    assert!(matches!(missing.first()[0].reason, Reason::Unreadable(_)));
}
