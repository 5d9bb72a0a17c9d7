"""The monitor node as operators see it: its lifecycle and its parameters while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener, Process


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Process]:
    from tests.ros_nodes.live import node

    with node("monitor_node", tmp_path) as process:
        yield process


def change_state(listener: Listener, transition: int) -> bool:
    from lifecycle_msgs.srv import ChangeState

    request = ChangeState.Request()
    request.transition.id = transition
    return listener.call(ChangeState, "/monitor_node/change_state", request).success


def test_a_camera_that_never_comes_is_named_by_timer(listener: Listener, monitor: Process) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from edgeguard.verdict import Level
    from ros_nodes.verdict_msg import from_message
    from tests.ros_nodes.live import verdicts

    heard = listener.listen(DiagnosticArray, "/verdict")

    def silent() -> bool:
        return any(v.level is Level.FAIL_SAFE and not v.has_image for v in map(from_message, verdicts(heard)))

    listener.wait_for(silent)


def test_every_threshold_is_a_parameter_that_can_be_changed_while_running(
    listener: Listener, monitor: Process
) -> None:
    from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters

    from edgeguard.config import flatten
    from edgeguard.monitor import MonitorSettings
    from tests.ros_nodes.live import set_parameter

    names = listener.call(ListParameters, "/monitor_node/list_parameters", ListParameters.Request())
    assert set(flatten(MonitorSettings())) <= set(names.result.names)

    def change(name: str, to: object) -> Any:
        return set_parameter(listener, "monitor_node", name, to)

    def get(name: str) -> Any:
        request = GetParameters.Request(names=[name])
        return listener.call(GetParameters, "/monitor_node/get_parameters", request).values[0]

    knob = "evidence.false_alarms_per_hour"
    before = get(knob).double_value
    refused = change(knob, -1.0)
    assert not refused.successful and knob in refused.reason and "greater than" in refused.reason
    assert get(knob).double_value == before
    assert not change("evidence.false_alarm_per_hour", 2.0).successful
    assert change(knob, 2.0).successful
    assert get(knob).double_value == 2.0
    assert "read on configure" in change("inputs.transport", "compressed").reason
    assert change("assembler.wait_ms", 50.0).successful
    assert "below camera_timeout_ms" in change("assembler.wait_ms", 300.0).reason
    request = DescribeParameters.Request(names=["assembler.wait_ms"])
    (described,) = listener.call(DescribeParameters, "/monitor_node/describe_parameters", request).descriptors
    assert "ms" in described.description


def dumped(listener: Listener, name: str) -> dict[str, Any]:
    """What `ros2 param dump` would write of a node."""
    from rcl_interfaces.srv import GetParameters, ListParameters
    from rclpy.parameter import parameter_value_to_python

    names = listener.call(ListParameters, f"/{name}/list_parameters", ListParameters.Request()).result.names
    request = GetParameters.Request(names=names)
    values = listener.call(GetParameters, f"/{name}/get_parameters", request).values
    nested: dict[str, Any] = {}
    for key, value in zip(names, values, strict=True):
        *path, last = key.split(".")
        into = nested
        for part in path:
            into = into.setdefault(part, {})
        found = parameter_value_to_python(value)
        into[last] = list(found) if isinstance(found, (list, tuple)) or hasattr(found, "tolist") else found
    return {f"/{name}": {"ros__parameters": nested}}


def test_a_changed_set_can_be_saved_and_is_taken_as_it_is(
    listener: Listener, monitor: Process, tmp_path: Path
) -> None:
    import yaml

    from edgeguard.replay import ReplaySettings
    from tests.ros_nodes.live import node, set_parameter

    with node("failsafe_node", tmp_path):
        assert set_parameter(listener, "monitor_node", "evidence.false_alarms_per_hour", 2.0).successful
        assert set_parameter(listener, "failsafe_node", "clear_after_s", 7.0).successful
        saved = tmp_path / "saved.yaml"
        kept = dumped(listener, "monitor_node") | dumped(listener, "failsafe_node")
        saved.write_text(yaml.dump(kept, default_flow_style=False))
    offline = ReplaySettings.load(saved)
    assert offline.monitor.evidence.false_alarms_per_hour == 2.0 and offline.failsafe.clear_after_s == 7.0
    # Of a node elsewhere, by the name alone.
    everywhere = tmp_path / "everywhere.yaml"
    text = saved.read_text()
    for name in ("monitor_node", "failsafe_node"):
        text = text.replace(f"/{name}:", f"/**/{name}:")
    everywhere.write_text(text)
    for name in ("monitor_node", "failsafe_node"):
        with node(name, tmp_path, namespace="/again", files=(everywhere,)):
            again = dumped(listener, f"again/{name}")
        assert again[f"/again/{name}"] == kept[f"/{name}"]


def test_deactivated_it_is_silent_and_cleaned_up_it_takes_other_inputs(
    listener: Listener, monitor: Process
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from lifecycle_msgs.msg import Transition

    from tests.ros_nodes.live import set_parameter

    heard = listener.listen(DiagnosticArray, "/verdict")
    listener.wait_for(lambda: heard)
    assert change_state(listener, Transition.TRANSITION_DEACTIVATE)
    assert change_state(listener, Transition.TRANSITION_CLEANUP)
    assert set_parameter(listener, "monitor_node", "inputs.transport", "compressed").successful
    assert change_state(listener, Transition.TRANSITION_CONFIGURE)
    assert change_state(listener, Transition.TRANSITION_ACTIVATE)
    heard.clear()
    listener.wait_for(lambda: heard)


def test_a_message_that_is_nonsense_is_dropped_and_logged(listener: Listener, monitor: Process) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import Image, PointCloud2

    from ros_nodes import qos

    heard = listener.listen(DiagnosticArray, "/verdict")
    images = listener.create_publisher(Image, "/camera/image", qos.NEWEST_IMAGE)
    points = listener.create_publisher(PointCloud2, "/lidar/points", qos.SENSOR)
    listener.wait_for(lambda: heard and images.get_subscription_count() and points.get_subscription_count())

    def nonsense_is_logged() -> bool:
        images.publish(Image(width=640, height=480, encoding="bgr8", step=1920))
        points.publish(PointCloud2(width=1000, height=1, point_step=16, row_step=16000))
        return all(f"{topic}: dropped" in monitor.output for topic in ("input/image", "input/points"))

    listener.wait_for(nonsense_is_logged)
    heard.clear()
    listener.wait_for(lambda: heard)


class Camera:
    """A camera with its model and its detector, at 10 Hz: grey noise, and one car that stays where it is."""

    def __init__(self, listener: Listener) -> None:
        import numpy as np
        from sensor_msgs.msg import CameraInfo, Image
        from vision_msgs.msg import Detection2DArray

        from edgeguard.types import Detections
        from ros_nodes import qos
        from ros_nodes.perception_node import detections_message

        self.listener = listener
        self.images = listener.create_publisher(Image, "/camera/image", qos.NEWEST_IMAGE)
        self._infos = listener.create_publisher(CameraInfo, "/camera/camera_info", qos.SENSOR)
        self._detections = listener.create_publisher(Detection2DArray, "/camera/detections", qos.RESULT)
        self._random = np.random.default_rng(0)
        self._boxes = Detections(
            0,
            np.array([[280, 200, 360, 260]], np.float32),
            np.array([0.9], np.float32),
            np.zeros(1, np.int32),
            ("car",),
        )
        self._to_message = detections_message
        self.delay_ns = 0
        self.looks_for_s = 0.0
        self._timer = listener.create_timer(0.1, self.shoot)
        listener.executor.wake()

    def stop(self) -> None:
        self.listener.destroy_timer(self._timer)

    def shoot(self) -> None:
        import numpy as np
        from sensor_msgs.msg import CameraInfo, Image

        from ros_nodes.verdict_msg import to_time

        msg = Image(height=480, width=640, encoding="bgr8", step=1920)
        msg.header.frame_id = "camera"
        stamp_ns = self.listener.get_clock().now().nanoseconds - self.delay_ns
        msg.header.stamp = to_time(stamp_ns)
        msg.data.frombytes(self._random.integers(0, 255, (480, 640, 3), np.uint8).tobytes())
        info = CameraInfo(header=msg.header, height=480, width=640, distortion_model="plumb_bob")
        info.k = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
        self._infos.publish(info)
        self.images.publish(msg)
        boxes = dataclasses.replace(self._boxes, stamp_ns=stamp_ns)
        if self.looks_for_s:
            self._found = self._to_message(boxes, "camera")
            self._looking = self.listener.create_timer(self.looks_for_s, self._tell)
        else:
            self._detections.publish(self._to_message(boxes, "camera"))

    def _tell(self) -> None:
        self.listener.destroy_timer(self._looking)
        self._detections.publish(self._found)


def test_markers_are_made_only_for_those_who_look(listener: Listener, tmp_path: Path) -> None:
    from visualization_msgs.msg import MarkerArray

    from tests.ros_nodes.live import node

    # Without a deadline: a frame of which checks were skipped gives no markers.
    with node("monitor_node", tmp_path, deadline__latency_budget_ms=5000.0):
        Camera(listener)
        seen = listener.listen(MarkerArray, "/output/markers")
        listener.wait_for(lambda: any(len(m.markers) > 1 for m in seen))
    array = next(m for m in reversed(seen) if len(m.markers) > 1)
    assert {m.header.frame_id for m in array.markers} == {"camera"}
    (track,) = [m for m in array.markers if m.ns == "tracks"]
    # A car fills 60 px at 500 px focal length some 12 m away.
    assert 8 < track.pose.position.z < 18


def test_late_frames_get_the_checks_that_time_is_left_for_and_a_verdict_that_says_so(
    listener: Listener, monitor: Process
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from ros_nodes.verdict_msg import from_message
    from tests.ros_nodes.live import value, verdicts

    heard = listener.listen(DiagnosticArray, "/verdict")
    camera = Camera(listener)
    camera.delay_ns = 250_000_000

    def skipped() -> bool:
        found = [from_message(m) for m in verdicts(heard)]
        return any(v.has_image and v.skipped and "stream_integrity" not in v.skipped for v in found)

    listener.wait_for(skipped)
    message = next(m for m in reversed(verdicts(heard)) if from_message(m).skipped)
    assert float(value(message, "age_ms")) >= 250


def test_while_the_detector_looks_the_monitor_works_ahead(listener: Listener, monitor: Process) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from ros_nodes.verdict_msg import from_message
    from tests.ros_nodes.live import verdicts

    heard = listener.listen(DiagnosticArray, "/verdict")
    Camera(listener).looks_for_s = 0.03
    listener.wait_for(lambda: any("early" in from_message(m).stage_ms for m in verdicts(heard)))


def test_a_publisher_that_offers_too_little_is_told(listener: Listener, monitor: Process) -> None:
    from vision_msgs.msg import Detection2DArray

    from ros_nodes import qos

    # Detections must not be lost; this detector would let them be.
    listener.create_publisher(Detection2DArray, "/camera/detections", qos.SENSOR)
    listener.wait_for(lambda: "input/detections', offering incompatible QoS" in monitor.output)


def test_the_image_with_what_was_found_is_drawn_only_for_those_who_look(
    listener: Listener, tmp_path: Path
) -> None:
    from sensor_msgs.msg import Image

    from edgeguard import messages
    from tests.ros_nodes.live import node

    with node("monitor_node", tmp_path):
        Camera(listener)
        seen = listener.listen(Image, "/output/overlay")
        listener.wait_for(lambda: seen)
    drawn = messages.image(seen[-1])
    assert drawn.size == (640, 480) and drawn.frame_id == "camera"
    # The box of the car that the detector sees, in grey.
    assert (drawn.bgr[200:260, 280] == 190).all()


def judged(heard: list[Any], check: str = "") -> bool:
    """Whether there is a verdict on an image, of which a check, where one is named, passed something."""
    from ros_nodes.verdict_msg import from_message
    from tests.ros_nodes.live import verdicts

    found = [from_message(m) for m in verdicts(heard)]
    return any(v.has_image and (not check or v.coverage[check].passed) for v in found)


def test_compressed_images_are_judged(street: Path, listener: Listener, tmp_path: Path) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from tests.ros_nodes.live import node, player

    heard = listener.listen(DiagnosticArray, "/verdict")
    topic = "/camera/image/compressed"
    settings = {"inputs__transport": "compressed", "inputs__expected": ["camera"], "use_sim_time": True}
    played = player(street.parent / "drive", tmp_path, "--rate", "0.5", "--wait", topic)
    with node("monitor_node", tmp_path, topics={"input/image": topic}, **settings), played:
        listener.wait_for(lambda: judged(heard))


def test_radar_tracks_are_heard_and_missed(listener: Listener, tmp_path: Path) -> None:
    tracks = pytest.importorskip("radar_msgs.msg").RadarTracks
    from ros_nodes import qos
    from ros_nodes.verdict_msg import to_time
    from tests.ros_nodes.live import node

    stamps: list[int] = []

    def send() -> None:
        msg = tracks()
        stamps.append(listener.get_clock().now().nanoseconds)
        msg.header.stamp = to_time(stamps[-1])
        radar.publish(msg)

    radar = listener.create_publisher(tracks, "/radar/points", qos.SENSOR)
    with node("monitor_node", tmp_path, inputs__radar="tracks") as monitor:
        Camera(listener)
        listener.wait_for(radar.get_subscription_count)
        timer = listener.create_timer(0.1, send)
        listener.executor.wake()
        listener.wait_for(lambda: len(stamps) > 10)
        listener.destroy_timer(timer)
        listener.wait_for(lambda: "subject=radar" in monitor.output)


def test_a_rig_file_stands_for_what_no_topic_tells(street: Path, listener: Listener, tmp_path: Path) -> None:
    import json

    from diagnostic_msgs.msg import DiagnosticArray
    from scipy.spatial.transform import Rotation

    from edgeguard.bags import BagReader
    from edgeguard.rig import CameraModel
    from tests.ros_nodes.live import node, player

    with BagReader(street) as reader:
        told = [item.value for item in reader.messages() if isinstance(item.value, (list, CameraModel))]
    camera = next(v for v in told if isinstance(v, CameraModel))
    content = {
        "camera": {"frame_id": camera.frame_id, "width": camera.width, "height": camera.height}
        | dict(zip(("fx", "cx", "fy", "cy"), camera.k[[0, 0, 1, 1], [0, 2, 1, 2]].tolist(), strict=True)),
        "transforms": [
            {"parent": p, "child": c, "xyz": m[:3, 3].tolist()}
            | {"quaternion": Rotation.from_matrix(m[:3, :3]).as_quat().tolist()}
            for p, c, m in next(v for v in told if isinstance(v, list))
        ],
    }
    rig = tmp_path / "rig.yaml"
    rig.write_text(json.dumps(content))
    heard = listener.listen(DiagnosticArray, "/verdict")
    settings = {"inputs__rig": rig, "deadline__latency_budget_ms": 10000.0, "use_sim_time": True}
    with node("monitor_node", tmp_path, **settings):
        wait = ["/camera/image", "/lidar/points", "/camera/detections"]
        with player(street, tmp_path, "--rate", "0.5", "--wait", *wait):
            listener.wait_for(lambda: judged(heard, "lidar_support"))
            assert not listener.count_subscribers("/camera/camera_info")


def test_extrinsics_that_come_late_leave_checks_blind_until_then(street: Path, tmp_path: Path) -> None:
    from contextlib import ExitStack

    from tests.ros_nodes.drive import Drive

    with ExitStack() as stack:
        drive = Drive(street, tmp_path, stack, without=("tf_static", "camera_info"))
        drive.runs()
        blind = [v["coverage"]["lidar_support"] for v in drive.judged(8)]
        assert not any(c["pass"] or c["fail"] for c in blind) and any(c["unobservable"] for c in blind)
        for command in ("camera_info on", "tf_static on", "rewind"):
            drive.tell(command)
        drive.listener.wait_for(lambda: any(v["coverage"]["lidar_support"]["pass"] for v in drive.judged(5)))


def test_a_calibration_of_another_camera_or_engine_is_refused_while_running(
    listener: Listener, tmp_path: Path
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from edgeguard.evidence.thresholds import Calibration
    from edgeguard.evidence.thresholds import Camera as Made
    from edgeguard.monitor import MonitorSettings
    from tests.ros_nodes.live import node, set_parameter

    def calibration(name: str, engine: str, width: int) -> str:
        evidence = MonitorSettings().evidence
        content = {
            "made": "today",
            "versions": {},
            "drives": (),
            "hours": 1.0,
            "tracks": 0,
            "lidar_objects": 0,
        }
        content |= {"step_s": evidence.step_s, "max_step_evidence": evidence.max_step_evidence}
        cameras = (Made(width=width, height=480, focal_px=500.0),)
        made = Calibration(**content, digests={}, tails={}, engine=engine, cameras=cameras)
        return str(made.write(tmp_path / name))

    fits = calibration("fits", "mine", 640)
    heard = listener.listen(DiagnosticArray, "/verdict")
    with node("monitor_node", tmp_path, inputs__detector="mine", calibration=fits):
        Camera(listener)
        listener.wait_for(lambda: judged(heard))
        for name, engine, width, why in (
            ("a", "theirs", 640, "engine theirs"),
            ("b", "mine", 320, "another camera"),
        ):
            other = calibration(name, engine, width)
            refused = set_parameter(listener, "monitor_node", "calibration", other)
            assert not refused.successful and why in refused.reason
        assert set_parameter(listener, "monitor_node", "calibration", "none").successful
        assert set_parameter(listener, "monitor_node", "calibration", fits).successful
    # Given at the start, it is the first image that tells.
    with node("monitor_node", tmp_path, namespace="/late", calibration=calibration("b", "mine", 320)) as late:
        listener.wait_for(lambda: "deactivated" in late.output and "another camera" in late.output)
        assert late.popen.poll() is None


def test_each_check_has_a_status_on_diagnostics_at_5_hz(listener: Listener, monitor: Process) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from edgeguard import messages
    from edgeguard.monitor import Monitor, MonitorSettings

    told = listener.listen(DiagnosticArray, "/diagnostics")
    listener.wait_for(lambda: len(told) > 20)
    assert [s.name for s in told[-1].status] == [
        *(f"monitor_node: {name}" for name in Monitor(MonitorSettings()).check_names),
        "monitor_node: frames",
    ]
    stamps = [messages.stamp_ns(m.header) for m in told[-11:]]
    assert (stamps[-1] - stamps[0]) / 10 < 200_000_000
