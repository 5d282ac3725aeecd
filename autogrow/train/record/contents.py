"""What the files of a run folder hold, key by key: what a reader may count on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from autogrow.plain import Amount, Count, Name, Positive

Task = Literal["classification", "regression"]
Measured = Mapping[str, float | None]


class Total(TypedDict):
    """What something took."""

    train_flops: Amount
    eval_flops: Amount
    seconds: Amount


class Continued(TypedDict, total=False):
    """What a run went on from, as far as pages say it."""

    receipt: Receipt | None


class Receipt(TypedDict):
    """The proof of a growth."""

    promise: float | None
    max_abs_change: float | None


class Growth(TypedDict):
    """A growth of a stage."""

    do: str
    before: NotRequired[Mapping[str, Positive]]
    after: NotRequired[Mapping[str, Positive]]
    receipt: Receipt | None


class Splits(TypedDict):
    """How many rows there are in each split."""

    train: Count
    val: Count
    test: Count


class Stage(Total):
    """One stage of a chain: what it found and cost."""

    stage: Count
    name: str
    folder: Name
    rows: Splits
    classes: Count
    columns: Count | Sequence[Count]
    start_widths: Sequence[Positive]
    widths: Sequence[Positive]
    parameters: Count
    val: Measured
    test: Measured
    epochs: Amount
    cumulated_train_flops: Amount
    cumulated_eval_flops: Amount
    cumulated_seconds: Amount
    growths: Sequence[Growth]
    continued: Continued | None
    stop_reason: str


Label = str | int | float | bool


class OfClass(TypedDict):
    """How the rows of one class were answered."""

    label: Label
    rows: Count
    precision: float | None
    recall: float | None


class Confused(TypedDict):
    """A mistake, and how often it was made."""

    truth: Label
    answer: Label
    rows: Amount


class OfClasses(TypedDict):
    """Every metric of a classification on one split."""

    rows: Count
    log_loss: float
    error: float
    balanced_accuracy: float
    f1: float | None
    auroc: float | None
    average_precision: float | None
    brier: NotRequired[float]
    positive: NotRequired[Label]
    threshold: NotRequired[float]
    classes: Sequence[OfClass]
    confusion: Sequence[Sequence[Amount]]
    confused: NotRequired[Sequence[Confused]]


class OfTarget(TypedDict):
    """How one target was predicted."""

    name: str
    rmse: float
    mae: float
    r2: float | None


class OfValues(TypedDict):
    """Every metric of a regression on one split."""

    rows: Count
    rmse: float
    mae: float
    r2: float | None
    targets: Sequence[OfTarget]


class BaseOfClasses(TypedDict):
    """What the commonest class is right about."""

    answer: Label
    error: float
    log_loss: float
    auroc: NotRequired[float]
    average_precision: NotRequired[float]


class BaseOfValues(TypedDict):
    """What the mean is right about."""

    answer: Mapping[str, float]
    rmse: float
    mae: float


class Points(TypedDict):
    """A curve of a class."""

    label: Label
    x: Sequence[float]
    y: Sequence[float]


class Tenths(TypedDict):
    """Probabilities, and the shares that were right."""

    said: Sequence[float]
    right: Sequence[float]


class Calibration(TypedDict):
    """As delivered, and before the temperature was set."""

    before: NotRequired[Tenths]
    after: Tenths


class Rows(TypedDict):
    """Some rows of a target."""

    name: str
    true: Sequence[float]
    predicted: Sequence[float]


class Line(TypedDict):
    """What is answered along a column."""

    label: Label
    y: Sequence[float]


class Effect(TypedDict):
    """How the answer goes along a column: at its knots."""

    name: str
    x: Sequence[float]
    lines: Sequence[Line]


class Curves(TypedDict, total=False):
    """`curves.json`."""

    split: str
    roc: Sequence[Points]
    precision_recall: Sequence[Points]
    calibration: Calibration
    cloud: Sequence[Rows]
    effects: Sequence[Effect]


class Result(TypedDict, total=False):
    """`result.json`."""

    task: Task
    data: str
    seed: Count
    stop_reason: str
    best_epoch: Amount
    epochs: Amount
    widths: Sequence[Positive]
    depth: Count
    knots: Mapping[str, Positive]
    dropout: Amount
    parameters: Count
    flops_per_sample: Count
    train_flops: Amount
    eval_flops: Amount
    seconds: Amount
    growth_events: Count
    val: Measured
    test: Measured
    metric: str
    metrics: Mapping[str, OfClasses | OfValues]
    baseline: Mapping[str, BaseOfClasses | BaseOfValues]
    temperature: Amount
    versions: Mapping[str, str]
    command: str
    continued: Continued | None
    continued_from: str
    search: Mapping[str, Any]
    search_cost: Total
    total: Total
    stages: Sequence[Stage]


class ClassOf(TypedDict):
    """One class of a data card."""

    label: str | int | float | bool
    rows: Count
    share: Amount


class Range(TypedDict):
    """What a target spans."""

    mean: float
    std: float
    min: float
    max: float


class Card(TypedDict, total=False):
    """`data_card.json`."""

    name: str
    origin: str
    task: Task
    task_because: str
    rows: Count
    columns: Count | Sequence[Count]
    targets: Sequence[str]
    splits: Splits
    split: str
    missing: Count
    fingerprint: str
    notes: Sequence[str]
    numeric: Count
    categories: Mapping[str, Count]
    encoded_columns: Count
    missing_by_column: Mapping[str, Count]
    classes: Sequence[ClassOf]
    balance: Amount
    target_range: Mapping[str, Range]
    left_out: Mapping[str, str]
    written: str
    read_as: Mapping[str, str]


class Trial(TypedDict):
    """A line of `trials.jsonl`."""

    number: Count
    state: Literal["complete", "pruned", "failed"]
    widths: Sequence[Positive]
    dropout: Amount
    lr: Amount
    val_loss: float | None
    score: NotRequired[float | None]
    val_error: NotRequired[float | None]
    val_rmse: NotRequired[float | None]
    message: NotRequired[str]
    reported: NotRequired[Sequence[Sequence[float]]]
    train_flops: Amount
    eval_flops: Amount
    seconds: Amount
    parameters: Count
    flops_per_sample: Count


class PlannedArm(TypedDict):
    """What a comparison planned for an arm."""

    about: str
    label: str
    spoken: NotRequired[str]
    overrides: Sequence[str]
    matched: str | None
    command: NotRequired[str]
    kinds: NotRequired[Sequence[str]]


class Planned(TypedDict, total=False):
    """`plan.json`."""

    version: Count
    title: str
    command: str
    overrides: Sequence[str]
    arms: Mapping[Name, PlannedArm]
    seeds: Sequence[Count]
    target: Amount | None
    jobs: Positive


class OnDevice(TypedDict):
    """What a net's file takes on a device: its bytes, and the microseconds of one row."""

    bytes: Count
    p50_us: Amount
    p95_us: Amount


class OnDevices(TypedDict):
    """`device.json` of a comparison: by the name of a run."""

    to: Literal["c", "onnx"]
    int8: bool
    machine: str
    runs: Mapping[str, OnDevice]


class Drop(TypedDict, total=False):
    """A file of a watched folder, and what became of it."""

    name: Name
    size: Count
    mtime_ns: int
    sha256: str
    state: Literal["pending", "taken", "skipped", "set aside"]
    why: str
    copy: Name
    run: Name
    starts: Count
    reached: Count


class Watched(TypedDict):
    """`watch.json`."""

    version: Count
    folder: str
    drops: Sequence[Drop]
