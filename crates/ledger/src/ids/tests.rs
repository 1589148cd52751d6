use super::*;

#[test]
fn institution_ids_are_like_bics() {
    for good in ["BANKDEFF", "A1B2ZZ00", "BANKDEFFXXX", "BANKDEFF001"] {
        let id: InstitutionId = good.parse().unwrap();
        assert_eq!(id.to_string(), good);
        assert_eq!(InstitutionId::from_bytes(&id.to_bytes()), Ok(id));
    }
    let bad = ["", "BANKDEF", "BANKDEFFX", "bankdeff", "BANK1EFF", "BANKDEFFXX", "BANKDEFFXXXX"];
    for bad in bad.into_iter().chain(["BANKDÉFF", "BANK\0EFF", "BANKDEFF\0\0\0", " BANKDEFF"]) {
        assert_eq!(
            bad.parse::<InstitutionId>(),
            Err(IdError::Institution(bad.to_owned())),
            "{bad:?}"
        );
    }
}

#[test]
fn asset_ids_are_short_codes() {
    for good in ["EUR", "US0378331005", "T2S"] {
        let id: AssetId = good.parse().unwrap();
        assert_eq!(id.to_string(), good);
        assert_eq!(AssetId::from_bytes(&id.to_bytes()), Ok(id));
    }
    for bad in ["", "EU", "eur", "EU R", "ABCDEFGHIJKLM"] {
        assert!(bad.parse::<AssetId>().is_err(), "{bad:?}");
    }
}

#[test]
fn padding_has_one_form() {
    let error = InstitutionId::from_bytes(b"BANKDEFF\0\0X").unwrap_err();
    assert_eq!(error.to_string(), "institution id: not a valid value: malformed id at byte 0");
    assert!(InstitutionId::from_bytes(b"BANKDEFF\0\0\0").is_ok());
    assert!(InstitutionId::from_bytes(b"\0\0\0\0\0\0\0\0\0\0\0").is_err());
    assert!(AssetId::from_bytes(b"EUR \0\0\0\0\0\0\0\0").is_err());
}

#[test]
fn byte_order_is_text_order() {
    let mut ids: Vec<InstitutionId> = ["BANKDEFFXXX", "BANKDEFF", "BANKDEFF0AB", "AANKDEFF"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    ids.sort();
    let texts: Vec<_> = ids.iter().map(|id| id.as_str()).collect();
    assert_eq!(texts, ["AANKDEFF", "BANKDEFF", "BANKDEFF0AB", "BANKDEFFXXX"]);
    assert!(ids.is_sorted_by_key(|id| id.to_bytes()));
}

#[test]
fn uetrs_are_uuids_in_one_form() {
    let text = "97ed4827-7b6f-4491-a06f-b548d5a7512d";
    let uetr: Uetr = text.parse().unwrap();
    assert_eq!(uetr.to_string(), text);
    for bad in [&text.to_uppercase(), &text.replace('-', ""), &text[1..], "é"] {
        assert!(bad.parse::<Uetr>().is_err(), "{bad}");
    }
}

#[test]
fn credit_ids_differ_by_place() {
    let a = TransactionId(Digest([1; 32]));
    let ids = [
        CreditId::of(a, 0, 0),
        CreditId::of(a, 0, 1),
        CreditId::of(a, 1, 0),
        CreditId::of(TransactionId(Digest([2; 32])), 0, 0),
    ];
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[index + 1..].contains(id));
    }
}

#[test]
fn json_is_text_and_numbers() {
    let account =
        AccountId { institution: "BANKDEFF".parse().unwrap(), asset: "EUR".parse().unwrap() };
    let json = serde_json::to_string(&(account, Height(7))).unwrap();
    assert_eq!(json, r#"[{"institution":"BANKDEFF","asset":"EUR"},7]"#);
    assert_eq!(serde_json::from_str::<(AccountId, Height)>(&json).unwrap(), (account, Height(7)));
    assert!(serde_json::from_str::<InstitutionId>("\"bank\"").is_err());
}
