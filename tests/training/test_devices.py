"""What several processes agree on, number by number; who starts them; what is refused."""

import os
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from datetime import timedelta

import lightning
import pytest
import torch
from companies import in_company, said
from torch import nn

from conftest import config, voices
from telucodec import ranks
from telucodec.build import build
from telucodec.cli import launch, train
from telucodec.cli.main import LOST, main
from telucodec.data import source
from telucodec.data.module import SpeechData
from telucodec.errors import DivergedError, InputError, LostError
from telucodec.losses.combine import GradientBalancer
from telucodec.losses.term import Scored
from telucodec.metrics.evaluation import Evaluator
from telucodec.nn.norm import BatchNorm, BatchStatistics
from telucodec.quantization.codebook import EMACodebook
from telucodec.quantization.dropout import QuantizerDropout
from telucodec.quantization.evidence import Residual
from telucodec.quantization.initial import KMeans
from telucodec.quantization.ranks import AllRanks
from telucodec.quantization.restart import Restart
from telucodec.records import Coded, Quantized, Stage, Step, Utterance
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.local import TIED
from telucodec.study.jobs.queue import Slots
from telucodec.training.processes import LED, MET, Place, find_place
from telucodec.training.strategy import DataParallel, Joined, Single, refuse
from telucodec.training.trainer import Device

TORCHRUN = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


def device(**given):
    usual = {"accelerator": "cpu", "devices": 1, "strategy": Single(), "precision": "32-true", "threads": 1}
    return Device(**usual | {"tf32": False, "benchmark": False, "compile": False, "profile": 0} | given)


def alike(tmp_path, act, count=2):
    """Every process gets to the end of `act`."""

    def joined(rank):
        torch.set_num_threads(1)
        with device(devices=count, strategy=DataParallel(timeout_minutes=1)).joined():
            act(rank)

    codes = in_company(count, tmp_path, joined)
    assert codes == [0] * count, "\n".join(said(tmp_path, rank)[-3000:] for rank in range(count))


def test_what_is_told_and_added_up(tmp_path):
    def act(rank):
        assert (ranks.own(), ranks.count(), ranks.together()) == (rank, 2, True)
        assert ranks.mean(torch.tensor([1.0 + 2 * rank])).tolist() == [2.0]
        assert ranks.norm(torch.tensor(3.0 + rank)).item() == 5
        assert [ranks.anywhere(rank == 1), ranks.anywhere(False)] == [True, False]
        assert ranks.gathered({"own": rank}) == [{"own": 0}, {"own": 1}]
        assert ranks.from_first(f"folder {rank}") == "folder 0"
        assert ranks.lengths(torch.zeros(1 + rank, 2)) == [1, 2]
        assert ranks.joined(torch.full((1 + rank, 1), float(rank))).tolist() == [[0.0], [1.0], [1.0]]
        assert list(ranks.turns(3)) == ([0, 2] if rank == 0 else [1, None])
        with ranks.apart():
            assert (ranks.own(), ranks.count()) == (0, 1)
            assert ranks.gathered(rank) == [rank], "the other one is not asked"
        x = torch.tensor(1.0 + rank, requires_grad=True)
        (ranks.shared(x) ** 2).backward()
        assert x.grad.item() == 3, "2 x the mean of 1 and 2; averaged over processes as gradients are, half of it each"

    alike(tmp_path, act)


def test_what_the_first_one_does_and_what_goes_wrong_in_one(tmp_path):
    def act(rank):
        made = tmp_path / "made"
        assert ranks.by_first(lambda: f"by {ranks.own()}") == "by 0"

        def make():
            if rank:
                assert made.exists(), "the first comes first"
            made.touch()
            return rank

        assert ranks.in_turn(make) == rank

        def fail():
            raise ValueError("the disk is full")

        for together, kind in ((ranks.by_first, ValueError if rank == 0 else LostError), (ranks.in_turn, ValueError)):
            with pytest.raises(kind, match="the disk is full"):
                together(fail)

        def fail_second():
            if rank:
                raise InputError("no such file")

        with pytest.raises(InputError if rank else LostError, match="no such file"):
            ranks.in_turn(fail_second)

    alike(tmp_path, act)


def test_the_first_of_each_machine_goes_before_the_others_of_it(tmp_path, monkeypatch):
    """Two machines with two processes each; on the second, what the first one makes is not seen."""

    def act(rank):
        monkeypatch.setattr("platform.node", lambda: f"node{rank // 2}")
        made = tmp_path / f"node{rank // 2}"

        def make():
            assert made.exists() == rank % 2
            assert rank == 0 or (tmp_path / "node0").exists()
            made.touch()
            return rank

        assert ranks.in_turn(make) == rank

        def fail():
            if rank > 1:
                raise InputError("no such file")

        with pytest.raises(InputError) as error:
            ranks.in_turn(fail)
        assert type(error.value) is (InputError if rank == 2 else LostError), "one of them says it"

    alike(tmp_path, act, count=4)


def test_what_all_say_is_told_by_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "MOMENT", timedelta(seconds=0.5))

    def act(rank):
        for words, kind in (("no equal shares", LostError if rank else InputError), (f"mine: {rank}", InputError)):
            with pytest.raises(InputError, match=words) as error, ranks.told_once():
                raise InputError(words)
            assert type(error.value) is kind
        with pytest.raises(DivergedError), ranks.told_once():
            raise DivergedError("all know")

    alike(tmp_path, act)
    with pytest.raises(InputError, match="alone"), ranks.told_once():
        raise InputError("alone")


def test_a_source_speaks_in_the_first_process(monkeypatch, capsys):
    for number in (0, 1):
        monkeypatch.setattr(ranks, "own", lambda number=number: number)
        source.console().print("note: a file is set aside")
    assert capsys.readouterr().err.count("note") == 1


def test_nobody_leaves_before_the_first_has_spoken(tmp_path, monkeypatch):
    """srun and torchrun end the others as soon as one is gone."""
    said_it = tmp_path / "said"

    def slowly(folder):
        time.sleep(0.5)
        said_it.touch()
        return None, []

    def act(rank):
        monkeypatch.setattr("telucodec.training.fit.fit", lambda *given: False)
        monkeypatch.setattr("telucodec.training.checkpoint.newest_checkpoint", slowly)
        monkeypatch.setattr(train, "_place", lambda *given: (tmp_path / "run", None))
        assert train._make_run({}, Namespace(overrides=[], config_dir=None), []) == 130
        assert said_it.exists()

    alike(tmp_path, act)


def whole_and_part(rank, *shape):
    whole = torch.randn(*shape, generator=torch.Generator().manual_seed(7))
    return whole, whole.chunk(2)[rank]


@pytest.mark.parametrize("kind", [lambda: BatchNorm(3, momentum=0.1), lambda: BatchStatistics(3)])
def test_batch_norm_is_that_of_the_whole_batch(tmp_path, kind):
    def act(rank):
        one, many = kind(), kind()
        for norm in (one, many):
            nn.init.constant_(norm.bias, 0.3)
        whole, part = whole_and_part(rank, 4, 3, 5)
        push = whole.roll(1, 0)
        own, part = push.chunk(2)[rank], part.clone().requires_grad_()
        whole.requires_grad_()
        with ranks.apart():
            expected = one(whole)
            (expected * push).mean().backward()
        found = many(part)
        (found * own).mean().backward()
        torch.testing.assert_close(found, expected.chunk(2)[rank], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.grad / 2, whole.grad.chunk(2)[rank], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(dict(many.named_buffers()), dict(one.named_buffers()))
        before = {name: buffer.clone() for name, buffer in many.named_buffers()}
        with torch.no_grad():
            torch.testing.assert_close(many(part), found)  # a rehearsal
        torch.testing.assert_close(dict(many.named_buffers()), before, rtol=0, atol=0)
        many.eval()
        if rank == 0:
            many(part)  # whole utterances: the other process has none left

    alike(tmp_path, act)


def book(ranks_policy):
    slots = {"decay": 0.9, "initial": KMeans(iterations=5), "restart": Restart(threshold=0.9), "ranks": ranks_policy}
    return EMACodebook(codebook_size=16, dim=4, ema_input=Residual(), **slots)


def taught(codebook, wanted):
    for _ in range(3):
        _, codes = codebook(wanted)
        codebook.update(wanted.transpose(1, 2).flatten(0, 1), codes.flatten())
    return codebook


def test_a_codebook_begins_and_restarts_as_on_one_device(tmp_path):
    def act(rank):
        whole, part = whole_and_part(rank, 4, 4, 20)
        torch.manual_seed(3)
        with ranks.apart():
            one = taught(book(AllRanks()), whole)
        torch.manual_seed(3)
        many = taught(book(AllRanks()), part)
        assert one.moves.sum() > 0
        assert torch.equal(many.moves, one.moves)
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(many.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
            assert all(torch.equal(many.state_dict()[name], other) for other in ranks.gathered(many.state_dict()[name]))

    alike(tmp_path, act)


def test_quantizer_dropout_draws_for_the_whole_batch(tmp_path):
    def act(rank):
        torch.manual_seed(5)
        with ranks.apart():
            whole = QuantizerDropout(rate=0.75)(8, 6, torch.device("cpu"))
            after = torch.rand(1)
        torch.manual_seed(5)
        assert QuantizerDropout(rate=0.75)(4, 6, torch.device("cpu")).tolist() == whole.chunk(2)[rank].tolist()
        assert torch.equal(torch.rand(1), after), "the random streams stay in step"

    alike(tmp_path, act)


@pytest.mark.parametrize("per_batch_item", [True, False])
def test_a_balancer_balances_by_the_whole_batch(tmp_path, per_batch_item):
    def balanced(target):
        audio = (0.5 * target).requires_grad_()
        step = Step(0, target, audio, audio, Quantized(audio, audio.long()), judge=lambda a: None)
        scored = {"l1": Scored((audio - target).abs().mean(), 1.0, "audio")}
        scored["mse"] = Scored((audio - target).square().mean(), 2.0, "audio")
        combine = GradientBalancer(total_norm=1.0, decay=0.9, per_batch_item=per_batch_item, floor=1e-3)
        return torch.autograd.grad(combine(scored, step), audio)[0]

    def act(rank):
        whole, part = whole_and_part(rank, 4, 1, 16)
        with ranks.apart():
            expected = balanced(whole).chunk(2)[rank]
        torch.testing.assert_close(balanced(part) / 2, expected, rtol=1e-5, atol=1e-7)

    alike(tmp_path, act)


def test_figures_are_those_of_all_utterances(tmp_path):
    """Five utterances, the third silent, by two processes: one of them hears three."""

    def evaluation(numbers):
        found = Evaluator(metrics={}, silence_dbfs=-60).begin(16000, 1, 8)
        for number in numbers:
            audio = torch.from_numpy(voices(number, 0.1 + 0.05 * number))[None] * (number != 2)
            latent = audio.unflatten(-1, (-1, 4)).mean(-1)
            codes = (latent[:, :1] * 1000).long() % 8
            coded = Coded(0.8 * audio, latent, Quantized(0.9 * latent, codes, (Stage(latent, 0.9 * latent, codes),)))
            found.add(Utterance(audio, f"u{number}", None, None), coded)
        return found

    def act(rank):
        with ranks.apart():
            one = evaluation(range(5))
        many = evaluation([number for number in ranks.turns(5) if number is not None])
        assert len(many.rows) == 3 - rank
        many.gather()
        assert [row.name for row in many.rows] == [f"u{number}" for number in range(5)]
        assert many.rows == one.rows
        assert many.summary() == pytest.approx(one.summary(), rel=1e-12)
        assert many.summary()["utterances"] == 4

    alike(tmp_path, act)


def test_places_are_read_from_torchrun_and_slurm():
    ours = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"} | TORCHRUN
    assert find_place(ours) == Place(1, 2, 1, 2, "node1", 29500)
    assert find_place(ours | {LED: "1"}).led
    assert find_place(ours | {"WORLD_SIZE": "1", "RANK": "0"}) is None, "torchrun with one process"
    slurm = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "120042"}
    slurm |= {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu[07-08]"}
    place = find_place(slurm)
    assert (place.rank, place.count, place.local_rank, place.local_count, place.nodes) == (5, 8, 1, 4, 2)
    assert (place.address, place.port) == ("gpu07", 15042)
    assert find_place(slurm | {"MASTER_PORT": "7"}).port == 7
    joined = Joined(place)
    assert (joined.world_size(), joined.global_rank(), joined.local_rank(), joined.node_rank()) == (8, 5, 1, 1)
    assert joined.creates_processes_externally


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ddp", "waits in each player's step"),
        ("ddp_find_unused_parameters_false", "waits in each player's step"),
        ("ddp_find_unused_parameters_true", "overwrites buffers before each forward pass"),
        ("ddp_static_graph", "the two players' do not"),
        ("ddp_spawn", "`telucodec train` starts them itself"),
        ("deepspeed_stage_2", "takes a single optimizer"),
        ("fsdp", "cuts each weight into pieces"),
        ("model_parallel", "cuts weights into pieces"),
        ("horovod", "is none of ours"),
    ],
)
def test_strategies_that_cannot_work_are_refused_by_name(name, reason):
    with pytest.raises(InputError, match=f"trainer: strategy {name} .*{reason}.* Use trainer=ddp"):
        build(config("trainer=ddp_cpu", f"trainer.strategy={name}")["trainer"], "trainer")
    assert reason in str(refuse(name))


def test_lightning_says_what_the_refusals_say():
    with pytest.raises(ValueError, match="requires a GPU accelerator"):
        lightning.Trainer(accelerator="cpu", strategy="fsdp", devices=2, logger=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"devices": 2}, "devices 2 need a strategy that keeps them together. Use trainer=ddp"),
        ({"devices": 0}, "devices must be >= 1"),
        ({"devices": "auto", "strategy": DataParallel(timeout_minutes=1)}, "devices auto counts GPUs"),
        ({"precision": "16-mixed"}, "precision 16-mixed needs a GPU"),
        ({"threads": 0}, "threads must be >= 1"),
    ],
)
def test_devices_that_make_no_sense_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        device(**given)
    with pytest.raises(ValueError, match="timeout_minutes must be > 0"):
        DataParallel(timeout_minutes=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "2 processes were started for one device. Use trainer=ddp"),
        ({"devices": 4, "strategy": DataParallel(timeout_minutes=1)}, "is 4, but 2 processes were started"),
    ],
)
def test_processes_that_do_not_fit_the_configuration_are_refused(monkeypatch, given, message):
    for key, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", **TORCHRUN}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(InputError, match=message), device(**given).joined():
        pass


def test_several_devices_are_for_the_command_to_start():
    two = device(devices=2, strategy=DataParallel(timeout_minutes=1))
    assert two.count == 2
    with pytest.raises(InputError, match="start 2 processes"):
        two.trainer([], [], 1, ".")


def test_a_batch_without_equal_shares_is_refused(tmp_path, monkeypatch):
    node = config("data=folder", "data.root=nowhere", "loader.batch_size=10")["loader"]
    data: SpeechData = build(node, "loader")
    monkeypatch.setattr(ranks, "count", lambda: 4)
    with pytest.raises(InputError, match=r"10 crops have no equal shares for 4 devices.* Choose 8 or 12\."):
        data.prepare()


def started(monkeypatch, code, count=2):
    """The exit code of processes that each run some lines of Python."""
    lines = f"import os, signal, sys, time; rank = int(os.environ['RANK']); {code}"
    monkeypatch.setattr(launch, "COMMAND", (sys.executable, "-S", "-c", lines))
    monkeypatch.setattr(launch, "GRACE", 0.5)
    before = signal.getsignal(signal.SIGTERM)
    found = launch.launch(["train"], count)
    assert signal.getsignal(signal.SIGTERM) is before
    return found


def test_processes_know_each_other_and_finish_together(monkeypatch, tmp_path):
    monkeypatch.setenv(TIED, "1")
    told = "[os.environ.get(k) for k in ('WORLD_SIZE', 'LOCAL_RANK', 'TELUCODEC_LED', 'TELUCODEC_TIED')]"
    code = f"open(r'{tmp_path}/' + str(rank), 'w').write(repr({told}))"
    assert started(monkeypatch, code, count=3) == 0
    assert [(tmp_path / str(r)).read_text() for r in range(3)] == [f"['3', '{r}', '1', None]" for r in range(3)]


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("sys.exit(5) if rank else time.sleep(60)", 5, "process 1 of 2 failed with exit code 5"),
        (f"time.sleep(0.5 * rank); sys.exit(2 if rank else {LOST})", 2, "process 1 of 2 failed with exit code 2"),
        ("os.kill(os.getpid(), 9) if rank == 0 else time.sleep(60)", 1, "process 0 of 2 was killed by SIGKILL"),
    ],
)
def test_one_that_fails_ends_the_others_and_is_named(monkeypatch, capfd, code, exit_code, message):
    start = time.monotonic()
    assert started(monkeypatch, code) == exit_code
    assert time.monotonic() - start < 30
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("code", ["time.sleep(60)", "signal.signal(15, lambda *_: sys.exit(130)); time.sleep(60)"])
def test_a_request_to_stop_reaches_all(monkeypatch, code):
    start = launch._Company.start

    def then_ask(company, *given):
        start(company, *given)
        if len(company.processes) == 2:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    monkeypatch.setattr(launch._Company, "start", then_ask)
    assert started(monkeypatch, code) == 130


def test_a_second_request_gives_little_time(monkeypatch):
    monkeypatch.setattr("telucodec.training.callbacks.stop.ECHO", 0.1)
    for after in (0.5, 1.0):
        threading.Timer(after, os.kill, (os.getpid(), signal.SIGTERM)).start()
    start = time.monotonic()
    assert started(monkeypatch, "signal.signal(15, signal.SIG_IGN); time.sleep(60)") == 130
    assert time.monotonic() - start < 30


def test_those_that_have_not_met_do_not_wait_for_one_that_was_stopped(monkeypatch, tmp_path):
    assert started(monkeypatch, "time.sleep(60 * rank); sys.exit(130)") == 130
    ended = [launch._Ended(1, code) for code in (LOST, launch.INTERRUPTED, 2)]
    for met, patience in ((False, [0.5, 0.5, 0.5]), (True, [600, 600, 0.5])):
        assert [launch._Company(lambda met=met: met).patience(one) for one in ended] == patience

    def act(rank):
        store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        assert not store.check([MET])
        with DataParallel(timeout_minutes=1).connected(Place(0, 1, 0, 1, "127.0.0.1", store.port, led=True), False):
            assert store.check([MET])

    assert in_company(1, tmp_path, act) == [0], said(tmp_path, 0)


def test_a_process_ends_with_the_one_that_started_it():
    code = "from telucodec.cli.launch import bound; import time; bound(); print('here', flush=True); time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {LED: "1"}
    )
    assert child.stdout.readline() == b"here\n"
    child.stdin.close()
    assert child.wait(20) == -signal.SIGKILL
    child.stdout.close()


def test_one_device_starts_nothing(monkeypatch):
    assert launch.several({"trainer": {"devices": 1}}) == 1
    assert launch.several(config("trainer=ddp_cpu", "trainer.devices=3")) == 3
    for key, value in {"RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0", **TORCHRUN}.items():
        monkeypatch.setenv(key, value)
    assert launch.several(config("trainer=ddp_cpu", "trainer.devices=3")) == 1


def test_a_sweep_gives_a_job_that_wants_all_devices_all_of_its_own(tmp_path):
    job = Job("wide", {"trainer": {"devices": "auto"}}, (), tmp_path)
    assert [Slots(1, devices).share(job) for devices in ((), (0, 1, 2))] == [0, 3]


def test_a_wrong_number_of_devices_is_said_before_anything_starts(capsys):
    assert main(["train", "trainer=cpu", "trainer.devices=2"]) == 2
    assert "devices 2 need a strategy that keeps them together" in capsys.readouterr().err
