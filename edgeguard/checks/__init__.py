"""The checks, one file each, and the table of them in order of value per millisecond."""

from __future__ import annotations

from edgeguard.checks.base import Check, Scores
from edgeguard.checks.birth_death import BirthDeath, BirthDeathSettings
from edgeguard.checks.box_motion import BoxMotion, BoxMotionSettings
from edgeguard.checks.calibration_drift import CalibrationDrift, CalibrationDriftSettings
from edgeguard.checks.class_stability import ClassStability, ClassStabilitySettings
from edgeguard.checks.confidence import Confidence, ConfidenceSettings
from edgeguard.checks.depth_agreement import DepthAgreement, DepthAgreementSettings
from edgeguard.checks.ensemble import Ensemble, EnsembleSettings
from edgeguard.checks.expansion import Expansion, ExpansionSettings
from edgeguard.checks.flow import Flow, FlowSettings
from edgeguard.checks.free_space import FreeSpace, FreeSpaceSettings
from edgeguard.checks.input_distribution import InputDistribution, InputDistributionSettings
from edgeguard.checks.kinematic_class import KinematicClass, KinematicClassSettings
from edgeguard.checks.lidar_ghost import LidarGhost, LidarGhostSettings
from edgeguard.checks.lidar_removal import LidarRemoval, LidarRemovalSettings
from edgeguard.checks.lidar_support import LidarSupport, LidarSupportSettings
from edgeguard.checks.object_agreement import ObjectAgreement, ObjectAgreementSettings
from edgeguard.checks.patch_saliency import PatchSaliency, PatchSaliencySettings
from edgeguard.checks.radar_agreement import RadarAgreement, RadarAgreementSettings
from edgeguard.checks.sanitised_view import SanitisedView, SanitisedViewSettings
from edgeguard.checks.stream_integrity import StreamIntegrity, StreamIntegritySettings
from edgeguard.checks.sync import Sync, SyncSettings
from edgeguard.checks.view import Engine
from edgeguard.config import Settings

__all__ = ["Check", "CheckSettings", "Scores", "make_checks"]


class CheckSettings(Settings):
    """Parameters of every check."""

    stream_integrity: StreamIntegritySettings = StreamIntegritySettings()
    object_agreement: ObjectAgreementSettings = ObjectAgreementSettings()
    lidar_support: LidarSupportSettings = LidarSupportSettings()
    free_space: FreeSpaceSettings = FreeSpaceSettings()
    lidar_ghost: LidarGhostSettings = LidarGhostSettings()
    lidar_removal: LidarRemovalSettings = LidarRemovalSettings()
    radar_agreement: RadarAgreementSettings = RadarAgreementSettings()
    depth_agreement: DepthAgreementSettings = DepthAgreementSettings()
    class_stability: ClassStabilitySettings = ClassStabilitySettings()
    box_motion: BoxMotionSettings = BoxMotionSettings()
    birth_death: BirthDeathSettings = BirthDeathSettings()
    expansion: ExpansionSettings = ExpansionSettings()
    confidence: ConfidenceSettings = ConfidenceSettings()
    kinematic_class: KinematicClassSettings = KinematicClassSettings()
    flow: FlowSettings = FlowSettings()
    sync: SyncSettings = SyncSettings()
    calibration_drift: CalibrationDriftSettings = CalibrationDriftSettings()
    patch_saliency: PatchSaliencySettings = PatchSaliencySettings()
    input_distribution: InputDistributionSettings = InputDistributionSettings()
    sanitised_view: SanitisedViewSettings = SanitisedViewSettings()
    ensemble: EnsembleSettings = EnsembleSettings()


def make_checks(
    settings: CheckSettings, *, engine: Engine | None = None, second_engine: Engine | None = None
) -> tuple[Check, ...]:
    """Return all checks in the order in which a frame's budget is spent on them.

    Args:
        settings: their parameters.
        engine: what `sanitised_view` looks with; without it, that check can tell nothing.
        second_engine: what `ensemble` looks with; the same.
    """
    return (
        StreamIntegrity(settings.stream_integrity),
        ObjectAgreement(settings.object_agreement),
        LidarSupport(settings.lidar_support),
        FreeSpace(settings.free_space),
        LidarGhost(settings.lidar_ghost),
        LidarRemoval(settings.lidar_removal),
        RadarAgreement(settings.radar_agreement),
        DepthAgreement(settings.depth_agreement),
        ClassStability(settings.class_stability),
        BoxMotion(settings.box_motion),
        BirthDeath(settings.birth_death),
        Expansion(settings.expansion),
        Confidence(settings.confidence),
        KinematicClass(settings.kinematic_class),
        Flow(settings.flow),
        Sync(settings.sync),
        CalibrationDrift(settings.calibration_drift),
        PatchSaliency(settings.patch_saliency),
        InputDistribution(settings.input_distribution),
        SanitisedView(settings.sanitised_view, engine),
        Ensemble(settings.ensemble, second_engine),
    )
