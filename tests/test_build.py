import pytest
import torch

from telucodec.build import build, check
from telucodec.errors import InputError

MSE = {"_target_": "telucodec.losses.waveform.MSE", "weight": 1.0, "start": 0, "emphasis": 0.0}


def test_a_node_becomes_its_object():
    assert type(build(MSE, "loss.mse")).__name__ == "MSE"


def test_partial_nodes_become_functions_of_the_rest():
    make = build({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5}, "optimizer")
    assert make([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_target_": "os.system"}, "'os.system' is not allowed"),
        ({"_target_": "torch.hub.load"}, "'torch.hub.load' is not allowed"),
        ({"_target_": "torch.optim.lr_scheduler.LambdaLR"}, "only classes that a configuration describes"),
        ({"_target_": "telucodec.disk.write_text"}, "'telucodec.disk.write_text' is not allowed"),
        ({"_target_": "telucodec.training.record.write_text"}, "only classes that a configuration describes"),
        ({"_target_": "telucodec.data.synthesis.subprocess"}, "only classes that a configuration describes"),
        ({"_target_": "telucodec.data.synthesis.subprocess.Popen"}, "there is no"),
        ({"_target_": "telucodec.data.manifest.read_manifest"}, "only classes that a configuration describes"),
        ({"_target_": "telucodec.losses.waveform.MSEE"}, "there is no 'telucodec.losses.waveform.MSEE'"),
        ({"_target_": "telucodec.nowhere.MSE"}, "'telucodec.nowhere.MSE' is not allowed"),
        ({"wieght": 2.0}, "loss.mse.wieght: telucodec.losses.waveform.MSE takes no 'wieght'. Did you mean 'weight'?"),
        ({"weight": "heavy"}, "loss.mse.weight: got 'heavy', but it must be of type float"),
        ({"weight": -1.0}, "loss.mse: weight must be >= 0, got -1.0"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(InputError) as error:
        build(MSE | change, "loss.mse")
    assert message in str(error.value)


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"loss\.mse: telucodec\.losses\.waveform\.MSE needs weight"):
        build({k: v for k, v in MSE.items() if k != "weight"}, "loss.mse")


def test_nested_targets_are_checked_before_anything_is_built():
    with pytest.raises(InputError, match=r"terms\.terms\.evil: the target 'builtins\.exec' is not allowed"):
        check(
            {
                "_target_": "telucodec.losses.term.Terms",
                "ceilings": {},
                "terms": {"evil": {"_target_": "builtins.exec"}},
            },
            "terms",
        )


def test_a_list_stands_for_a_tuple():
    build({"_target_": "torch.optim.AdamW", "_partial_": True, "betas": [0.8, 0.99]}, "optimizer")
