"""Every source that `fetch` knows, as data; to add one, add a row.

A source has one or more routes: ways to get all of it, in order of preference. A route is a list of
files, and a file has one or more addresses, in order. Sizes and sums are those that were published;
where none was, the sum of the first download is kept and later ones are compared with it.
"""

from dataclasses import dataclass

DRIVE = "https://drive.google.com/uc?id="
GLUE = "https://dl.fbaipublicfiles.com/glue/data"
SENTEVAL = "https://dl.fbaipublicfiles.com/senteval/senteval_data"
HUB = "https://huggingface.co"
BERT = "https://s3.amazonaws.com/models.huggingface.co/bert"
GPT2 = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"


@dataclass(frozen=True)
class RemoteFile:
    """A file as somebody serves it.

    Attributes:
        name: Where it goes, under data/raw/SOURCE.
        addresses: Where it is served, in order of preference.
        bytes: Its size, if published.
        checksum: "md5:HEX", "sha1:HEX" or "sha256:HEX", if published.
    """

    name: str
    addresses: tuple[str, ...]
    bytes: int | None = None
    checksum: str | None = None


Route = tuple[RemoteFile, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source.

    Attributes:
        reader: Module of `pipeline.readers` that makes documents of it.
        routes: Ways to download it; none where the server's own lists name the files.
        language: Code of its language ("any": the person's choice).
        licence: The terms that its publisher states.
        cite: What to cite, or where it is described.
        is_local: Whether it is on this machine and never downloaded.
    """

    reader: str
    routes: tuple[Route, ...] = ()
    is_local: bool = False
    language: str = "en"
    licence: str
    cite: str


def _openwebtext_tars() -> Route:
    folder = f"{HUB}/datasets/Skylion007/openwebtext/resolve/main/subsets"
    names = [f"urlsf_subset{number:02d}.tar" for number in range(21)]
    return tuple(RemoteFile(name, (f"{folder}/{name}",)) for name in names)


def _wikitext(size: int, train_files: int) -> tuple[Route, ...]:
    zipped = f"wikitext-{size}-raw-v1.zip"
    folder = f"{HUB}/datasets/Salesforce/wikitext/resolve/main/wikitext-{size}-raw-v1"
    parquet = [f"train-{n:05d}-of-{train_files:05d}.parquet" for n in range(train_files)]
    return (
        (RemoteFile(zipped, (f"https://wikitext.smerity.com/{zipped}",)),),
        tuple(RemoteFile(name, (f"{folder}/{name}",)) for name in parquet),
    )


def _glue(name: str, size: int, sha256: str, base: str = GLUE) -> RemoteFile:
    return RemoteFile(name, (f"{base}/{name}",), size, f"sha256:{sha256}")


SOURCES: dict[str, Source] = {
    "docstrings": Source(
        reader="docstrings",
        is_local=True,
        licence="of the installed packages",
        cite="this Python installation",
    ),
    "text": Source(
        reader="text",
        is_local=True,
        language="any",
        licence="the person's own",
        cite="files and folders of one's own",
    ),
    "wikipedia": Source(
        reader="wikipedia",
        language="any",
        licence="CC BY-SA 4.0 and GFDL",
        cite="https://dumps.wikimedia.org/legal.html",
    ),
    "gutenberg": Source(
        reader="gutenberg",
        routes=(
            (
                RemoteFile(
                    "Gutenberg.zip",
                    (
                        f"{DRIVE}0B2Mzhc7popBga2RkcWZNcjlRTGM",
                        "https://gluonnlp-numpy-data.s3-accelerate.amazonaws.com/"
                        "pretrain_corpus/Gutenberg.zip",
                    ),
                    461_506_225,
                    "sha1:91e842dc3671ed5a917b7ff6a60f5f87397780e2",
                ),
            ),
        ),
        licence="public domain in the United States",
        cite="Lahiri, Complexity of Word Collocation Networks (EACL student workshop 2014)",
    ),
    "openwebtext": Source(
        reader="openwebtext",
        routes=(
            (
                RemoteFile(
                    "openwebtext.tar.xz",
                    (
                        f"{DRIVE}1EA5V0oetDCOke7afsktL_JDQ-ETtNOvx",
                        "https://zenodo.org/record/3834942/files/openwebtext.tar.xz",
                    ),
                    12_880_027_468,
                    "sha256:9fe39d154c5bc67da8c359415372b79510eb1e2edb0d035fe4f7fc3a732b9336",
                ),
            ),
            _openwebtext_tars(),
        ),
        licence="CC0 for the collection; the texts belong to their authors",
        cite="Gokaslan and Cohen, OpenWebText Corpus (2019)",
    ),
    "wikitext-2": Source(
        reader="wikitext",
        routes=_wikitext(2, 1),
        licence="CC BY-SA 3.0",
        cite="Merity et al., Pointer Sentinel Mixture Models (arXiv 1609.07843)",
    ),
    "wikitext-103": Source(
        reader="wikitext",
        routes=_wikitext(103, 2),
        licence="CC BY-SA 3.0",
        cite="Merity et al., Pointer Sentinel Mixture Models (arXiv 1609.07843)",
    ),
    "glue": Source(
        reader="glue",
        routes=(
            (
                _glue(
                    "CoLA.zip",
                    376_971,
                    "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff",
                ),
                _glue(
                    "SST-2.zip",
                    7_439_277,
                    "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
                ),
                _glue(
                    "QQP-clean.zip",
                    41_696_084,
                    "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0",
                ),
                _glue(
                    "STS-B.zip",
                    802_872,
                    "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85",
                ),
                _glue(
                    "MNLI.zip",
                    312_783_507,
                    "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633",
                ),
                _glue(
                    "QNLIv2.zip",
                    10_627_589,
                    "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
                ),
                _glue(
                    "RTE.zip",
                    697_150,
                    "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee",
                ),
                _glue(
                    "WNLI.zip",
                    28_999,
                    "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46",
                ),
                _glue(
                    "AX.tsv",
                    222_257,
                    "0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd",
                ),
                _glue(
                    "mrpc_dev_ids.tsv",
                    6_222,
                    "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7",
                ),
                _glue(
                    "msr_paraphrase_train.txt",
                    1_047_044,
                    "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89",
                    SENTEVAL,
                ),
                _glue(
                    "msr_paraphrase_test.txt",
                    441_275,
                    "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784",
                    SENTEVAL,
                ),
            ),
        ),
        licence="of each task; Quora's (QQP) is non-commercial",
        cite="Wang et al., GLUE (arXiv 1804.07461)",
    ),
    "vocab": Source(
        reader="vocab",
        routes=(
            (
                RemoteFile(
                    "bert-base-uncased/vocab.txt",
                    (
                        f"{BERT}/bert-base-uncased-vocab.txt",
                        "https://storage.googleapis.com/electra-data/vocab.txt",
                        f"{HUB}/google-bert/bert-base-uncased/resolve/main/vocab.txt",
                    ),
                    231_508,
                    "sha256:07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                ),
                RemoteFile(
                    "bert-base-cased/vocab.txt",
                    (
                        f"{BERT}/bert-base-cased-vocab.txt",
                        f"{HUB}/google-bert/bert-base-cased/resolve/main/vocab.txt",
                    ),
                    213_450,
                    "sha256:eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02",
                ),
                RemoteFile(
                    "electra/vocab.txt",
                    (
                        "https://storage.googleapis.com/electra-data/vocab.txt",
                        f"{HUB}/google/electra-small-discriminator/resolve/main/vocab.txt",
                    ),
                    231_508,
                    "sha256:07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                ),
                RemoteFile(
                    "gpt2/vocab.json",
                    (
                        f"{GPT2}/encoder.json",
                        f"{HUB}/openai-community/gpt2/resolve/main/vocab.json",
                    ),
                    1_042_301,
                    "sha256:196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
                ),
                RemoteFile(
                    "gpt2/merges.txt",
                    (
                        f"{GPT2}/vocab.bpe",
                        f"{HUB}/openai-community/gpt2/resolve/main/merges.txt",
                    ),
                    456_318,
                    "sha256:1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
                ),
                RemoteFile(
                    "albert/spiece.model",
                    (f"{HUB}/albert/albert-base-v2/resolve/main/spiece.model",),
                    760_289,
                    "sha256:fefb02b667a6c5c2fe27602d28e5fb3428f66ab89c7d6f388e7c8d44a02d0336",
                ),
            ),
        ),
        licence="Apache 2.0 (BERT, ELECTRA, ALBERT), MIT (GPT-2)",
        cite="arXiv 1810.04805, 2003.10555, 1909.11942; Radford et al. 2019",
    ),
}
