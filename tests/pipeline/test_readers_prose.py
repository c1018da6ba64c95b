import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.prose import is_prose, prose

DOCSTRING = """Computes the mean of all elements in the given input tensor.

    The result of :func:`~torch.mean` is *always* a tensor with the same ``dtype``
    as its input.

    .. math:: x = 1

        This formula is not a sentence that anybody should ever want to read.

    .. note::
        When the input is empty this function returns a tensor full of zeros.

    Args:
        input (Tensor): the input tensor whose elements are summed and then divided
            by their number.
        dim (int, optional): the dimension.

    Example::

        This block is code although it looks very much like a sentence.

    >>> mean(x)
    And this line is the output that the doctest above is said to print.

    Heading of many words that would be a sentence by itself otherwise.
    ------------------------------------------------------------------
    | Cell one of a table | which looks like a long sentence of words. |
    """


def test_only_prose_is_kept():
    assert list(prose(DOCSTRING)) == [
        "Computes the mean of all elements in the given input tensor.",
        "The result of torch.mean is always a tensor with the same dtype as its input.",
        "When the input is empty this function returns a tensor full of zeros.",
        "The input tensor whose elements are summed and then divided by their number.",
    ]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Too few words here.",
        "This sentence of eight words or more never ends",
        "Names a_b c_d e_f g_h i_j k_l m_n o_p are.",
        "The value of x = y + z is printed below the line.",
        r"The angle \theta is given here in radians and not in degrees.",
        "begins in the middle of some sentence that was cut before.",
    ],
)
def test_what_is_no_prose_is_refused(paragraph):
    assert not is_prose(paragraph)


@given(st.text(st.sampled_from("aB .:`*_-=>\n\t()[]|+~1<#")))
def test_any_docstring_gives_prose_or_nothing(text):
    assert all(is_prose(paragraph) for paragraph in prose(text))
