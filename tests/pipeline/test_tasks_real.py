"""The real files of GLUE: how many rows each has, and which are the first and the last."""

from typing import NamedTuple

import pytest

from pipeline.readers.glue import unpack_glue
from pipeline.tasks import TASKS, read_examples


class Real(NamedTuple):
    """Usable rows of a file, how the texts of the first and the last one begin, their labels."""

    rows: int
    first: str
    last: str
    second_first: str | None
    second_last: str | None
    labels: tuple[float | None, float | None] = (None, None)
    is_partial: bool = False


REAL = {
    ("cola", "train"): Real(
        8551, "Our friends won't bu", "What all did you get", None, None, (1, 1)
    ),
    ("cola", "dev"): Real(1043, "The sailors rode the", "John talked to Bill ", None, None, (1, 1)),
    ("cola", "test"): Real(1063, "Bill whistled past t", "A picture of himself", None, None),
    ("sst2", "train"): Real(
        67349, "hide new secretions ", "this new jangle of n", None, None, (0, 0)
    ),
    ("sst2", "dev"): Real(872, "it 's a charming and", "looking aristocratic", None, None, (1, 1)),
    ("sst2", "test"): Real(1821, "uneasy mishmash of s", "dazzling and sugar-s", None, None),
    ("mrpc", "train"): Real(
        3668,
        "Amrozi accused his b",
        "The 30-year bond US3",
        "Referring to him as ",
        "The 30-year bond US3",
        (1, 0),
    ),
    ("mrpc", "dev"): Real(
        408,
        "He said the foodserv",
        "Ex-KGB agent Putin a",
        '" The foodservice pi',
        "In Soviet times the ",
        (1, 1),
    ),
    ("mrpc", "test"): Real(
        1725,
        "PCCW 's chief operat",
        "Sobig.F spreads when",
        "Current Chief Operat",
        "The virus spreads wh",
        (1, 1),
    ),
    ("stsb", "train"): Real(
        5749,
        "A plane is taking of",
        "Putin spokesman: Dop",
        "An air plane is taki",
        "The Latest on Severe",
        (5.0, 0.0),
    ),
    ("stsb", "dev"): Real(
        1500,
        "A man with a hard ha",
        "New video shows US p",
        "A man wearing a hard",
        "New York police offi",
        (5.0, 0.0),
    ),
    ("stsb", "test"): Real(
        1379,
        "A girl is styling he",
        "South Korea declares",
        "A girl is brushing h",
        "North Korea Delegati",
    ),
    ("qqp", "train"): Real(
        19999,
        "What causes stool co",
        "What is it like to b",
        "What can cause stool",
        "What is it like to b",
        (0, 1),
        is_partial=True,
    ),
    ("qqp", "dev"): Real(
        2000,
        "How do you wrap your",
        "Why do you shed tear",
        "Where can I find a s",
        "Why do we have tears",
        (0, 0),
        is_partial=True,
    ),
    ("qqp", "test"): Real(
        400,
        "How do you make mone",
        "Why there is always ",
        "How do I make money ",
        "If there will be a w",
        is_partial=True,
    ),
    ("mnli", "train"): Real(
        5000,
        "Gays and lesbians.",
        "Its majesty is most ",
        "Heterosexuals.",
        "The latticework in t",
        (0, 0),
        is_partial=True,
    ),
    ("mnli", "dev_matched"): Real(
        1002,
        "The new rights are n",
        "They wanted you , so",
        "Everyone really like",
        "They wanted to use y",
        (1, 1),
        is_partial=True,
    ),
    ("mnli", "dev_mismatched"): Real(
        1002,
        "Your contribution he",
        "Luis Alonso , Luis A",
        "Your contributions w",
        "They said they do no",
        (0, 0),
        is_partial=True,
    ),
    ("mnli", "test_matched"): Real(
        1,
        "Hierbas, ans seco, a",
        "Hierbas, ans seco, a",
        "Hierbas is a name wo",
        "Hierbas is a name wo",
        is_partial=True,
    ),
    ("mnli", "test_mismatched"): Real(
        1,
        "What have you decide",
        "What have you decide",
        "So what's your decis",
        "So what's your decis",
        is_partial=True,
    ),
    ("qnli", "train"): Real(
        8999,
        "What sector has expa",
        "What was the headlin",
        "The IT sector has be",
        "On 17 November 1989,",
        (1, 0),
        is_partial=True,
    ),
    ("qnli", "dev"): Real(
        5463,
        "What came into force",
        "Who discovered this ",
        "As of that day, the ",
        "The development of t",
        (0, 1),
    ),
    ("qnli", "test"): Real(
        5463,
        "What organization is",
        "Who fought in the gr",
        "For some decades pri",
        "In 1709–13, a plague",
    ),
    ("rte", "train"): Real(
        2490,
        "No Weapons of Mass D",
        "Turkey is unlikely t",
        "Weapons of Mass Dest",
        "U.S. to use Turkish ",
        (1, 1),
    ),
    ("rte", "dev"): Real(
        277,
        "Dana Reeve, the wido",
        "Danny Kennedy, Green",
        "Christopher Reeve ha",
        "Greenpeace director ",
        (1, 1),
    ),
    ("rte", "test"): Real(
        3000,
        "Mangla was summoned ",
        "A Helios airliner (B",
        "Shukla is related to",
        "26 people died in an",
    ),
    ("wnli", "train"): Real(
        635,
        "I stuck a pin throug",
        "Although they ran at",
        "The carrot had a hol",
        "Sally had such a bad",
        (1, 1),
    ),
    ("wnli", "dev"): Real(
        71,
        "The drain is clogged",
        "George got free tick",
        "The hair has to be c",
        "Eric was not particu",
        (0, 0),
    ),
    ("wnli", "test"): Real(
        146,
        "Maude and Dora had s",
        "Edward dropped adhes",
        "Horses ran away when",
        "Some of the glue was",
    ),
    ("ax", "test"): Real(
        1104,
        "The cat sat on the m",
        "The new general arti",
        "The cat did not sit ",
        "A general artificial",
    ),
}


@pytest.fixture(scope="session")
def real_glue(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "glue"
    unpack_glue(real_data / "mirror" / "dl.fbaipublicfiles.com", folder)
    return folder


def test_every_split_has_a_real_file():
    assert list(REAL) == [(name, split) for name, task in TASKS.items() for split in task.rows]


@pytest.mark.parametrize("key", REAL)
def test_real_files_begin_and_end_as_published(real_glue, key):
    (name, split), real = key, REAL[key]
    examples = read_examples(TASKS[name], real_glue, split)
    assert len(examples) == real.rows
    assert examples.skipped == (key == ("qqp", "train"))
    official = TASKS[name].rows[split]
    assert examples.is_partial(official) == real.is_partial
    assert (len(examples) == official) == (not real.is_partial)
    assert (examples.second is None) == (real.second_first is None)
    for texts, *begins in (
        (examples.first, real.first, real.last),
        (examples.second, real.second_first, real.second_last),
    ):
        if texts is not None:
            assert [texts[0][: len(begins[0])], texts[-1][: len(begins[1])]] == begins
    assert examples.is_labelled == (real.labels != (None, None))
    if examples.is_labelled:
        assert (examples.labels[0], examples.labels[-1]) == real.labels
