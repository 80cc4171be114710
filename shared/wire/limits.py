"""Every limit of the protocol, in one place. Each is tested at the limit and one past it."""

from __future__ import annotations

MAJOR, MINOR = 1, 1
MAGIC = b"VIVANT/1"

HEADER_BYTES = 64 * 1024
HEADER_DEPTH = 16
MAX_BUFFERS = 6
MESSAGE_BYTES = 64 * 1024 * 1024  # all buffers of one message together
CONTROL_PART_BYTES = 8 * 1024 * 1024  # one part on the control socket
FRAME_PART_BYTES = 64 * 1024 * 1024  # one part of a frame; larger frames travel in strips
JOIN_PART_BYTES = 64 * 1024  # one part towards the server on the frames socket

CHUNK_BYTES = 4 * 1024 * 1024
ASSET_BYTES = 64 * 1024 * 1024
PREVIEW_PIXELS = 1024 * 1024
LOG_BYTES = 32_000  # of one answer

CLIENTS = 16
WAITING_JOBS = 64  # of one owner
WAITING_RENDERS = 8  # of one session
VIEWS = 64  # of one session that wait for a live frame
INTERRUPTED_RENDERS = 8  # of one owner: a client that died for good never comes back for its own
UPLOADS = 64  # under way whose digests are kept
SERVER_BYTES = 4 * 1024**3  # pixels and poses of all clients together: one may have the largest frames
JOB_FRAMES = 10_000  # their poses fit one part on control; longer ranges are several jobs
RENDER_SIZE = 8192  # pixels, width and height
GAUSSIANS = 2_000_000  # of one avatar
CREDIT = 16  # frames under way to one client

NAME_CHARS = 200
TEXT_CHARS = 4000
EXPRESSIONS = 512

CONNECT_S = 5.0
REPLY_S = 10.0
PING_S = 2.0
PINGS_MISSED = 3
BACK_OFF_S = (0.25, 8.0)  # first and longest wait between tries to connect
PROGRESS_HZ = 10.0  # of one job's events; changes of state are never thinned
FRAME_S = 120.0  # a frame that takes so long, opening its avatar included, has hung its worker
STAGE_SILENCE_S = 120.0  # a stage that says nothing for so long has hung
CANCEL_COOPERATIVE_S = 3.0
CANCEL_KILL_S = 4.5
VANISHED_LIVE_S = 6.0
VANISHED_STATE_S = 60.0
MALFORMED_BEFORE_IGNORED = 10
