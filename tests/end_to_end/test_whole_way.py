"""Post, queue, worker, sandbox, score, rank, page: the main job on real input, on both kinds of deployment."""

from __future__ import annotations

import io

import numpy as np
import onnx
import pytest
from onnx import TensorProto, compose, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from evaluators import registry
from tests.end_to_end.conftest import BOARD, assert_ended_once
from tests.services import Deployment, multipart, wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("deployments"), pytest.mark.timeout(600)]


def upload(server: Deployment, *, content: bytes, filename: str, **fields: str):
    body, headers = multipart(fields, filename=filename, content=content)
    return server.request("POST", f"/api/v1/boards/{BOARD}/submissions/", body, headers=headers)


def digits():
    """The track's own data: public arrays, and the labels of its test half."""
    return registry.get(BOARD)(secret=b"tests").load()


def logistic_regression_as_onnx() -> tuple[bytes, float]:
    """A scikit-learn model, exported by skl2onnx and given the track's input shape; and its accuracy by scikit-learn."""
    data = digits()
    train_x = np.asarray(data.public["x_train"], dtype=np.float32).reshape(len(data.public["x_train"]), -1)
    test_x = np.asarray(data.public["x_test"], dtype=np.float32).reshape(len(data.public["x_test"]), -1)
    model = LogisticRegression(max_iter=200).fit(train_x, data.public["y_train"])
    exported = to_onnx(model, train_x[:1], options={"zipmap": False}, target_opset=17)
    flatten = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"])],
        "flatten",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1, 8, 8])],
        [helper.make_tensor_value_info("flat", TensorProto.FLOAT, [None, 64])],
    )
    front = helper.make_model(flatten, opset_imports=exported.opset_import, ir_version=exported.ir_version)
    joined = compose.merge_models(front, exported, io_map=[("flat", exported.graph.input[0].name)], outputs=["probabilities"])
    onnx.checker.check_model(joined)
    return joined.SerializeToString(), float(model.score(test_x, data.hidden["y_test"]))


def test_a_config_is_trained_scored_and_ranked(server: Deployment) -> None:
    receipt = server.submit(BOARD, name="My logistic regression", kind="config", model="logistic", config={})
    assert receipt["state"] == "queued"
    done = server.finished(receipt["id"])
    assert done["state"] == "succeeded", done
    primary = next(score for score in done["scores"] if score["primary"])
    assert primary["metric"] == "accuracy"
    assert 0.9 < primary["ci_low"] <= primary["value"] <= primary["ci_high"] <= 1
    assert done["rank"] >= 1
    page = server.request("GET", f"/boards/{BOARD}/", token="")
    assert page.status == 200
    assert "My logistic regression" in page.body


def test_a_scikit_learn_model_exported_to_onnx_scores_what_scikit_learn_says(server: Deployment) -> None:
    content, accuracy = logistic_regression_as_onnx()
    answer = upload(server, content=content, filename="model.onnx", name="scikit-learn by ONNX", kind="onnx")
    assert answer.status == 201, answer
    done = server.finished(answer.body["id"])
    assert done["state"] == "succeeded", done
    scores = {score["metric"]: score["value"] for score in done["scores"]}
    assert scores["accuracy"] == pytest.approx(accuracy, abs=1e-12)


def test_a_file_of_predictions_is_scored(server: Deployment) -> None:
    data = digits()
    logits = np.eye(10, dtype=np.float32)[np.asarray(data.hidden["y_test"])] * 20
    buffer = io.BytesIO()
    np.savez(buffer, logits=logits)
    answer = upload(server, content=buffer.getvalue(), filename="answers.npz", name="Oracle", kind="predictions")
    assert answer.status == 201, answer
    done = server.finished(answer.body["id"])
    assert {score["metric"]: score["value"] for score in done["scores"]}["accuracy"] == 1.0
    assert done["rank"] == 1


def test_the_sandbox_s_view_of_a_bad_model_reaches_its_submitter_as_one_sentence(server: Deployment) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["logits"])],
        "wrong",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 10])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, 10])],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    answer = upload(server, content=content, filename="wrong.onnx", name="Wrong input", kind="onnx")
    done = server.finished(answer.body["id"])
    assert done["state"] == "failed"
    assert done["failure"]["code"] == "invalid_artifact"
    assert '"x"' in done["failure"]["message"]
    assert '"image"' in done["failure"]["message"]
    assert "Traceback" not in done["failure"]["message"]


def test_standings_are_the_same_as_json_as_csv_and_as_a_page(server: Deployment) -> None:
    server.finished(
        server.submit(BOARD, name="Comparison row", kind="config", model="logistic", config={"weight_decay": 0.01})["id"]
    )
    rows = server.request("GET", f"/api/v1/boards/{BOARD}/standings/").body["results"]
    names = [row["name"] for row in rows]
    csv = server.request("GET", f"/api/v1/boards/{BOARD}/standings/?format=csv").body
    page = server.request("GET", f"/boards/{BOARD}/").body
    assert "Comparison row" in names
    for name in names:
        assert name in csv
        assert name in page
    ranks = [row["rank"] for row in rows if row["rank"] is not None]
    assert ranks == sorted(ranks)


def test_a_running_evaluation_that_is_cancelled_is_killed_and_the_next_one_runs(server: Deployment) -> None:
    slow = server.submit(BOARD, name="Cancelled", kind="config", model="fractalnet", config={})["id"]
    path = f"/api/v1/submissions/{slow}/"
    wait_until(lambda: server.request("GET", path).body["progress"] > 0, seconds=60, what="it computes")
    assert server.request("POST", f"{path}cancel/").status in (200, 202)
    assert server.finished(slow)["state"] == "cancelled"
    fast = server.submit(BOARD, name="The next one", kind="config", model="logistic", config={"weight_decay": 0.02})
    assert_ended_once(server, fast["id"])
