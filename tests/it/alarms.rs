//! Alarms about the texts of requests: ordinary text raises none, deceptions of each kind are found.

use std::collections::BTreeMap;

use human_oversight::reveal::Alarms;

fn alarms(text: &str) -> Alarms {
    let mut alarms = Alarms::default();
    alarms.scan(text);
    alarms
}

fn assert_ordinary(texts: &[&str]) {
    for text in texts {
        assert_eq!(alarms(text), Alarms::default(), "{text} {text:?}");
    }
}

fn assert_found(texts: &[&str]) {
    for text in texts {
        assert!(!alarms(text).is_empty(), "{text} {text:?}");
    }
}

/// Names of languages, countries, scripts, months, currencies and units in 92 languages of CLDR, and emoji sequences.
#[test]
fn names_in_every_language_raise_no_alarm() {
    let texts = include_str!("../texts/names.json");
    let texts: BTreeMap<String, Vec<String>> = serde_json::from_str(texts).unwrap();
    assert!(texts.len() > 90, "{}", texts.len());
    for (language, texts) in texts {
        for text in texts {
            assert_eq!(alarms(&text), Alarms::default(), "{language}: {text}");
        }
    }
}

#[test]
fn sums_times_and_years_beside_right_to_left_text_keep_their_order() {
    assert_ordinary(&[
        "المبلغ 18,000.50 ريال",
        "الساعة 14:30",
        "نسخة 1.2.3",
        "دينار بوسني (1990–1992)",
        "זלוטי פולני (1950 – 1995)",
        "مبلغ ۱۸٬۰۰۰٫۵۰ ریال",
    ]);
    assert_found(&[
        "حساب 111-222-333",
        "يوم 2026-11-30",
        "delete ا 10 20",
        "טלפון 050 123 4567",
    ]);
}

#[test]
fn latin_names_in_words_of_other_shapes_are_ordinary() {
    assert_ordinary(&[
        "خدمة الـAPI والـSQL",
        "ה-API של Google, בAPI",
        "ใช้Googleทำงาน ส่งEmailถึงลูกค้า",
        "APIका APIს API-ն 한국어API를 用API。Next",
    ]);
    // But not if nothing but look-alikes stands among the Latin letters.
    assert_found(&[
        "Transfer from сосо to рау",
        "gഠഠgle",
        "pay\u{627}",
        "gοοgle",
        "kraкen",
        "bаnк",
        "ѕudo",
    ]);
}

#[test]
fn numbers_beside_words_of_another_alphabet_are_ordinary() {
    assert_ordinary(&[
        "ул. Ленина, д. 7а/1, кв. 5",
        "дом 7А/1",
        "3-р сар",
        "2-х комнатная, 1-е место",
        "Самолёт Су-27 и Ту-154, счёт М-15, форма КС-2",
        "о-в Буве, ООО «Рога и копыта», о/с",
    ]);
    assert_found(&["сорр-1", "1О0", "1,00О", "10.0.О.1", "раура/1"]);
}

#[test]
fn symbols_and_forms_by_themselves_are_ordinary() {
    assert_ordinary(&[
        "x ∈ ℝ, 10 ℓ, n ∈ ℕ",
        "α-particles, β-carotene and γ-ray",
        "葛\u{e0100}城市",
        "Tamil in two parts: கனல்ம\u{bc6}\u{bbe}ழி",
        "Henry Ⅳ, ⅷ",
        "100％ OK！",
    ]);
    assert_found(&[
        "α-prod",
        "𝐩ay",
        "adⅿin",
        "ⅿaster",
        "https://ｅxample.com",
        "--ｆorce",
    ]);
}

#[test]
fn look_alike_punctuation_within_a_number_or_a_host_is_found() {
    assert_found(&[
        "18٫000",
        "1‚000",
        "18，000",
        "example。com",
        "localhost：8080",
        "httpː//x",
        "a։b",
        "10.0.0.١",
        "1०0",
    ]);
    assert_ordinary(&[
        "地址：localhost：8080，端口。OK",
        "„Wort“, ‚Wort‘",
        "fuːd",
        "۱۸٫۵",
    ]);
}

#[test]
fn marks_that_hide_letters_are_found() {
    assert_found(&[
        "Z\u{300}\u{301}\u{302}",
        "1\u{338}000",
        "p\u{335}a\u{335}y\u{335}",
        "OK\u{336}",
        "x\u{20dd}",
        "ก\u{e49}\u{e49}",
    ]);
    assert_ordinary(&["Ẹ̀kọ́ ǖ ᾱ́", "שָׁלוֹם", "ที่นี่", "1\u{fe0f}\u{20e3}", "v\u{20d7}"]);
}

#[test]
fn blank_space_of_any_kind_is_measured() {
    for blank in [
        " ".repeat(40),
        "\t".repeat(10),
        "\u{3000}".repeat(20),
        "\u{a0}".repeat(40),
    ] {
        assert_found(&[&format!("harmless{blank}rm -rf /")]);
    }
    assert_ordinary(&["#define X\t\t\t\t\t1", "\t\t\t\t\tif x:"]);
}

#[test]
fn encoded_words_are_found_with_spaces_too() {
    assert_found(&[
        "=?utf-8?q?Pay?=",
        "a=?UTF-8?B?UGF5?=b",
        "=?utf-8?Q?Pay me?=",
        "=?x=?utf-8?q?Pay?=",
    ]);
    assert_ordinary(&["a =? b", "x=?a&b=?c", "why=?utf-8?=", "=?utf-8?x?y?="]);
}

/// Each is as long as a request may be. A text of quadratic time takes more than 10 s of a debug build.
#[test]
fn long_texts_of_any_kind_take_linear_time() {
    let started = std::time::Instant::now();
    for part in [
        "со ",
        "со,",
        "со.1,",
        "а1",
        "\u{200f}",
        "\u{200f} ",
        "=?",
        "=?q",
        "م\u{200c}",
        "a\u{301}",
        "໐a",
        "１a，",
        "ع 1-",
        "١1.",
        "\t x",
        "α-",
    ] {
        let text = part.repeat(30_000 / part.len());
        alarms(&text);
        alarms(&format!("x.{text}"));
    }
    let taken = started.elapsed();
    assert!(taken.as_secs() < 30, "{taken:?}");
}

#[test]
fn harmless_alarms_leave_room_for_a_serious_one() {
    let harmless = "Zoe\u{308} ".repeat(9);
    let found = alarms(&format!(
        "{harmless}=?utf-8?q?Pay?= =?utf-8?q?Ask?= p\u{430}ypal"
    ));
    let excerpts: Vec<&str> = found.named.iter().map(|it| it.excerpt.as_str()).collect();
    let serious = ["p\u{430}ypal", "=?utf-8?q?Pay?=", "=?utf-8?q?Ask?="];
    assert_eq!(excerpts, [&serious[..], &["Zoe\u{308}"; 5]].concat());
    assert_eq!(found.more, 4);
}

#[test]
fn hyphens_are_ordinary_in_words_and_not_in_options_and_numbers() {
    assert_ordinary(&[
        "well\u{2010}known, non\u{2011}breaking",
        "Vor\u{2010} und Nachteile",
        "COVID\u{2011}19 und 3\u{2011}Tage\u{2011}Woche",
        "Müller\u{2011}Lüdenscheidt",
        "one \u{2010} two",
    ]);
    assert_found(&[
        "rm \u{2010}rf /tmp/x",
        "git push \u{2010}\u{2010}force origin main",
        "--dry\u{2011}run \u{2011}f",
        "2026\u{2010}11\u{2010}30",
        "until 2026\u{2011}11\u{2011}30",
        "rows 10\u{2010}20",
    ]);
}

#[test]
fn a_number_has_digits_of_one_kind() {
    assert_ordinary(&[
        "１８００円",
        "第１回、２０２６年１１月３０日",
        "１，８００",
        "Room ８",
    ]);
    assert_found(&[
        "1８00",
        "１8００",
        "4111１111",
        "DE89 3704 0044 ０532",
        "18,０00",
    ]);
}
