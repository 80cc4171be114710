"""Every limit of the protocol and of the service, in one place. Each is tested at the limit and one past it.

`S` is seconds, `M` metres; a pair is lowest and highest, or first and last.
"""

from __future__ import annotations

MAJOR, MINOR = 1, 3
MAGIC = b"VIVANT/1"

# One message
HEADER_BYTES = 64 * 1024
HEADER_DEPTH = 16
MAX_BUFFERS = 6
MESSAGE_BYTES = 64 * 1024 * 1024  # all buffers of one message together
CONTROL_PART_BYTES = 8 * 1024 * 1024  # one part on the control socket
FRAME_PART_BYTES = 64 * 1024 * 1024  # one part of a frame; larger frames travel in strips
JOIN_PART_BYTES = 64 * 1024  # one part towards the server on the frames socket
SHAPE_SIZE = 2**40  # one size of a shape: products of these stay quick to compute
ZSTD_WINDOW_BYTES = 2**23  # that a packed buffer may make its reader hold beside the result

# What stands in it
NAME_CHARS = 200
TEXT_CHARS = 4000
EXPRESSIONS = 512
COUNT = 2**53  # beyond, the readers of JSON in other languages round
SECONDS = 1e12
METRES = 1e6
ETA_S = 1e9
PSNR_DB = 1000.0
VERSION = 1000  # numbers of versions
FILES = 64  # one listing
AVATARS = 128  # one page of a listing; fewer where the header is full
FRAME_NOTES = 8
STATUS_NOTES = 16
STRIPS = 64  # one frame
FRAME_NUMBER = 2**31 - 1  # Blender's frames are 32-bit, and may be negative
PERSON = 100  # in one photo, from the left
BUILD_SIZE = (64, 4096)  # pixels that the training sees
BUILD_STEPS = 100_000
SEED = 2**31 - 1
TOLD = 10_000  # jobs and open avatars that a status counts
ANGLE_RAD = 1000.0  # beyond, float32 no longer tells turns apart
PLACE_M = 10_000.0  # body and camera
WEIGHT = 100.0  # an expression; 1 is the full one
FOCAL_PX = (1e-3, 1e7)

# Files
CHUNK_BYTES = 4 * 1024 * 1024
ASSET_BYTES = 64 * 1024 * 1024
PREVIEW_PIXELS = 1024 * 1024
PREVIEW_SIDE = 256  # pixels of the pictures that our workers send: 192 KiB, and a panel shows no more
LOG_BYTES = 32_000  # of one answer
JOB_LOG_BYTES = 4 << 20  # then a job's log ends
CONNECTION_FILE_BYTES = 64 * 1024
RING_KEY_BYTES = 1024
KEY_NAME_CHARS = 64
IMPORT_FILES = 60  # and room in a listing for those that the service adds
IMPORT_BYTES = 2 << 30
IMPORT_HEADER_BYTES = 1 << 20  # avatar.json, and the start of the Gaussians
GAUSSIANS = 2_000_000  # of one avatar
UPLOADS = 64  # under way whose digests are kept
UPLOAD_KEPT_S = 24 * 3600.0  # without another chunk
SPARE_UPLOADS = 64  # of one owner that no job uses: so many photos may come before their jobs
HASHES = 4096  # of files that clients downloaded, kept
LOG_FILE_BYTES = 1 << 20  # then the next file is begun

# What a client may have
CLIENTS = 16  # of one key, and the most that a status tells of all
PLACES = 128  # for clients with other keys than this computer's own
WAITING_JOBS = 64  # of one owner
KEPT_AVATARS = 512  # of one owner; one more is refused, for none is ever deleted by itself
KEPT_BYTES = KEPT_AVATARS * (128 << 20)  # avatars, jobs and photos of one owner: the most Gaussians are 120 MB each
ENDED_JOBS = 128  # fits and builds of one owner that have ended
ENDED_RENDERS = 64  # the same of renders, of which nothing else is kept
WAITING_RENDERS = 8  # of one session
VIEWS = 64  # of one session that wait for a live frame
INTERRUPTED_RENDERS = 8  # of one owner: a client that died for good never comes back for its own
SERVER_BYTES = 4 * 1024**3  # pixels and poses of all clients together
KEY_BYTES = 3 * 1024**3  # of those of one key: its frames may be the largest, and others have some, too
PROCESS_BYTES = 1024**3  # that the I/O process may hold beside them, before it hangs up on everybody
JOB_FRAMES = 10_000  # their poses fit one part on control; longer ranges are several jobs
RENDER_SIZE = 8192  # pixels, width and height
CREDIT = 16  # frames under way to one client
SLOTS = 3  # of one client: one being drawn, one being encrypted, one on its way
CONTROL_QUEUE = 64  # messages that wait in ZeroMQ, each way, for one peer
FRAMES_QUEUE = 4  # a net under credit
MALFORMED_BEFORE_IGNORED = 10
STRANGERS = 256  # connections on which nobody has greeted
OPEN_FILES = 2048  # files and connections that the server asks the system for
PEERS_REMEMBERED = 1000  # that sent something malformed
MESSAGES_AT_ONCE = 64  # of one socket, before the others have their turn
READ_S = 0.05  # of one socket, before the others have their turn: some messages take longer than others
EVENTS = 8192  # of one job: then no step is told, and it is not resumed
EVENTS_AS_FAST = 512  # of one job: after each so many, steps are told half as often
EVENTS_AT_ONCE = 256  # read from the journal for one client and job
REQUESTS = 64  # of one session whose answers are being made
UNSENT = 256  # answers that one session does not take

# How long a client waits
CONNECT_S = 5.0
REPLY_S = 10.0
IMPORT_S = 150.0  # for an import: longer than the server's own limit, whose error says more than a time-out
PING_S = 2.0
PINGS_MISSED = 3
BACK_OFF_S = (0.25, 8.0)  # first and longest wait between tries to connect
LOOK_S = 1.0  # between looks into the connection file meanwhile
JOB_SILENCE_S = 5.0  # after which it asks whether it missed something
COME_BACK_S = 60.0  # for a lost server
LAST_WORDS_S = 0.3  # for what was sent before the connection broke: one socket's end may be seen before
FAREWELL_S = 0.2
CLOSE_S = 1.0
STOP_S = 15.0  # for a server to end

# How long a server waits
HANDSHAKE_S = 5.0  # for a peer to prove its key
GREETING_S = 10.0  # for that and to say hello or to join, and for a connection to end whose session is over
STRANGERS_TOLD_S = 5.0  # between two lines in the log about them
HEARTBEAT_S = (2.0, 4.0, 6.0)  # ZeroMQ's own: every, answered within, forgotten after
TURN_S = 1.0  # of one turn of its loop that count: while it hangs, nobody could be heard
REOPEN_S = 5.0  # for its ports to be free again after it hung up
LINGER_S = 1.0  # for what is still to be sent when it ends
GPUS_S = 10.0  # for the driver to tell how many GPUs there are, else its workers choose one
JOURNAL_S = 5.0  # for another program to let go of the journal: nobody is answered meanwhile
VANISHED_LIVE_S = 6.0
VANISHED_STATE_S = 60.0
PROGRESS_HZ = 10.0  # of one job's first events; changes of state are never thinned
PICTURE_S = 2.0  # between two pictures of one stage
FRAME_S = 120.0  # a frame that takes so long, opening its avatar included, has hung its worker
OPEN_S = 120.0  # an avatar that takes so long to open has hung its worker, a folder its import
RUN_S = 24 * 3600.0  # a fit or a build, in one try: others wait for its worker
STAGE_SILENCE_S = 120.0  # a stage that says nothing for so long has hung
CANCEL_COOPERATIVE_S = 3.0
CANCEL_KILL_S = 4.0  # and effective within 5: a second is left to notice and to tell
WORKER_SILENCE_S = 15.0  # compiling and loading may keep even a worker's listening thread busy for some seconds
WORKER_LOOK_S = 0.1  # a worker that computes looks so often for pings and cancelled jobs
WORKER_START_S = 180.0  # to import what it needs, from a cold disk
WORKER_RESTART_S = (0.1, 30.0)  # before the next try, doubled while starting fails
WORKER_STARTS = 3  # failed ones, then the service says that it cannot work
WORKERS_END_S = 2.0  # when the server ends, as its threads that read files; and after a kill
FREE_S = 5.0  # for the workers to free memory, before the answer is given without them
UNUSED_S = 3600.0  # without a request from anybody: then avatars leave the memory
STREAM_RESTS = 200  # ticks, about 10 s, without work: then its slots go, which take longer to make than a frame
RETRY_S = 1.0  # after the disk was full
AVATARS_SHARE = 0.25  # of the device's memory that open avatars may take
OPEN_AVATARS = 1024  # of one worker, which tells their ids in one header
