"""Every text is complete in every language before anything is sent; a slip is named with its line."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from dunwell.catalogue import CatalogueError, NoText, Texts, Variables, load_book, load_texts
from dunwell.catalogue.sms import segments
from dunwell.domain.codes import Channel
from dunwell.domain.decide import PLACEMENT
from dunwell.domain.events import Due, Option

CHECKOUT = Path(__file__).resolve().parents[2]
DUE = date(2026, 3, 2)
ANNA = Variables("Anna Weiß", "Bank", 12050, "EUR", DUE, 9, "L-7", "help@bank.example", ("one", "two"))


@pytest.fixture(scope="module")
def texts() -> Texts:
    return load_texts(CHECKOUT)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(CHECKOUT / "templates", tmp_path / "templates")
    return tmp_path


def refusal(root: Path) -> list[str]:
    with pytest.raises(CatalogueError) as refused:
        load_texts(root)
    return str(refused.value).split("\n")


@pytest.mark.parametrize("language", ["en", "de", "es", "zh", "ja"])
def test_each_step_of_each_path_says_who_writes_why_and_how_to_answer(texts: Texts, language: str) -> None:
    steps = [PLACEMENT, *(step for path in load_book(CHECKOUT).paths.values() for step in path.steps)]
    for step in steps:
        for channel in step.channels:
            said = texts.render(step.template, language, channel, ANNA)

            for needed in ("Bank", "120.50 EUR", "L-7", "help@bank.example"):
                assert needed in said.text, (step.id, channel, needed)
            assert (said.subject is None) == (channel in ("sms", "voice"))
            if channel == "sms":
                assert segments(said.text) <= 3


@pytest.mark.parametrize(
    ("tag", "written_in"),
    [("en-GB", "en"), ("zh-Hans-CN", "zh"), ("de_AT", "de"), ("ID", "id-as-en"), ("fr-CA", "id-as-en")],
)
def test_a_person_reads_their_language_or_the_one_it_is_mapped_to(texts: Texts, tag: str, written_in: str) -> None:
    assert texts.render("offer", tag, "email", ANNA).language == written_in.rpartition("-")[2]


def test_a_language_in_neither_list_is_refused_not_guessed(texts: Texts) -> None:
    with pytest.raises(
        NoText, match=r"templates/languages.yaml: no texts for the language 'xx-YY', add it under `read_as`"
    ):
        texts.render("offer", "xx-YY", "email", ANNA)


def test_an_offer_names_each_payment_and_its_day_as_the_language_writes_them(texts: Texts) -> None:
    parts = Option(False, (Due(DUE, 6025), Due(date(2026, 4, 1), 6025)))
    later = Option(True, (Due(DUE, 500),))

    assert texts.options("de", [parts], "EUR") == ("in 2 Raten: 60.25 EUR am 2. März 2026, 60.25 EUR am 1. April 2026",)
    assert texts.options("ja", [later], "JPY") == ("お支払日の延期（一括）：2026年3月2日に 500 JPY",)


def test_a_name_is_never_read_as_a_template_nor_breaks_the_subject(texts: Texts, checkout: Path) -> None:
    file = checkout / "templates/en/check_in.txt"
    file.write_text(file.read_text().replace("Subject: How", "Subject: {{ name }}, how"))
    odd = Variables("{{ 7*7 }}\r\nBcc: all@x.example", "Bank", 1, "EUR", DUE, 1, "L", "r")

    said = load_texts(checkout).render("check_in", "en", "email", odd)

    assert said.subject == "{{ 7*7 }} Bcc: all@x.example, how are you getting on?"
    assert "49" not in said.text


@pytest.mark.parametrize(("channel", "differs"), [("email", True), ("sms", False)])
def test_the_hash_pins_the_file_that_was_used(texts: Texts, checkout: Path, channel: Channel, differs: bool) -> None:
    with (checkout / "templates/en/offer.txt").open("a") as file:
        file.write("P.S. Take your time.\n")

    before, after = (t.render("offer", "en", channel, ANNA).template_hash for t in (texts, load_texts(checkout)))

    assert (before != after) == differs


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Dear {{ nmae }}", "unknown variable, nmae, did you mean name?"),
        ("{% if dpd > 999 %}{{ ammount }}{% endif %}", "unknown variable, ammount, did you mean amount?"),
        ("Dear {{ name", "not a template: unexpected end of template"),
        ("{{ amount.minor }}", "the text cannot be rendered, 'str object' has no attribute 'minor'"),
        ("{{ name.__class__.__mro__ }}", "the text cannot be rendered, access to attribute '__class__'"),
        ("{{ amount + 1 }}", "the text cannot be rendered"),
        ("{% include '/etc/hostname' %}", "the text cannot be rendered"),
    ],
)
def test_a_slip_in_a_text_is_named_with_its_line(checkout: Path, line: str, says: str) -> None:
    file = checkout / "templates/es/offer.txt"
    lines = file.read_text(encoding="utf-8").split("\n")
    lines[4] = line
    # What follows may not close what the slip opened.
    file.write_text("\n".join(lines[:5]), encoding="utf-8")

    said = refusal(checkout)

    assert len(said) == 1
    assert said[0].startswith(f"templates/es/offer.txt:5: {says}"), said


def test_what_is_missing_or_misnamed_is_told_in_one_refusal(checkout: Path) -> None:
    templates = checkout / "templates"
    (templates / "ja/claim.txt").unlink()
    (templates / "fi").mkdir()
    (templates / "de/offer.txt").write_text("Guten Tag\n")
    (templates / "de/offer.smss.txt").write_text("{{ lender }}")
    languages = templates / "languages.yaml"
    languages.write_text(
        languages.read_text().replace("  fr: en", "  fr: enn").replace("{year}年{month}", "{yaer}年{month}")
    )

    said = "\n".join(refusal(checkout))

    assert "templates/ja/claim.txt:1: the text is missing, claim.txt, write it as templates/de/claim.txt is" in said
    assert "a folder of texts that is not described, fi, add fi to `languages`" in said
    assert "templates/de/offer.txt:1: the subject is missing, Guten Tag, begin the file with `Subject: ...`" in said
    assert "templates/de/offer.smss.txt:1: no channel has this name, smss, did you mean sms?" in said
    assert "no texts to read fr in, enn, did you mean en?" in said
    assert "languages.zh.date has an unknown place, {yaer}, did you mean year?" in said


def test_a_text_message_of_four_segments_is_refused(checkout: Path) -> None:
    with (checkout / "templates/de/offer.sms.txt").open("a") as file:
        file.write("!" * 300)

    [said] = refusal(checkout)

    assert said.startswith("templates/de/offer.sms.txt:1: the text message is too long, 4 segments, shorten it to 3")


@pytest.mark.parametrize(
    ("text", "count"), [("a" * 160, 1), ("a" * 161, 2), ("€" * 80, 1), ("á" * 70, 1), ("á" * 71, 2), ("😀" * 36, 2)]
)
def test_segments_are_counted_as_the_network_does(text: str, count: int) -> None:
    assert segments(text) == count
