-- SQLite 3.42 and newer. The same tables, columns and order as ../postgres; types differ where they must.
--
-- Times are BIGINT milliseconds since the Unix epoch in control-plane time (the
-- database's clock), unless a column ends in _us (microseconds) or _s. Ids are
-- UUIDv7 made by the application. JSON is TEXT. Every key begins with
-- organisation_id, so that no query can cross tenants by forgetting one.

-- ---- installation ----

-- One row for ever: the first to register becomes the owner, and the primary key decides the race.
CREATE TABLE installation (
    singleton       BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    organisation_id BLOB NOT NULL,
    owner_id        BLOB NOT NULL,
    created_at      BIGINT NOT NULL
);

-- What this installation's keys are; a replica that holds others refuses to start.
CREATE TABLE key_fingerprints (
    name        TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);

-- Work that one process does at a time. Installation-wide leases use the nil organisation.
CREATE TABLE leases (
    organisation_id BLOB NOT NULL,
    name            TEXT NOT NULL,
    holder          BLOB NOT NULL,
    fence           BIGINT NOT NULL,
    held_until      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, name)
);

-- Gateways, and since when each has been there to hear agents without a pause.
CREATE TABLE gateways (
    id              BLOB NOT NULL PRIMARY KEY,  -- of one run of a process
    since           BIGINT NOT NULL,
    heard_at        BIGINT NOT NULL
);

-- ---- organisations and people ----

CREATE TABLE organisations (
    organisation_id BLOB NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);

CREATE TABLE users (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    email           TEXT NOT NULL UNIQUE,      -- lower case
    password_hash   TEXT NOT NULL,             -- PHC string, argon2id
    role            TEXT NOT NULL,             -- owner admin editor viewer
    generation      BIGINT NOT NULL,           -- raised by a password or role change; ends sessions
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, id)
);

-- Refresh tokens. Using one twice means it was stolen: the whole family ends.
CREATE TABLE sessions (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    family_id       BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    token_hash      BLOB NOT NULL UNIQUE,    -- SHA-256
    generation      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    used_at         BIGINT,
    revoked_at      BIGINT,
    PRIMARY KEY (organisation_id, id)
);
CREATE INDEX sessions_family ON sessions (organisation_id, family_id);

-- Answers to creates that named an Idempotency-Key, for a day.
CREATE TABLE idempotency_keys (
    organisation_id BLOB NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash    BLOB NOT NULL,           -- of method, path and body
    status          BIGINT NOT NULL,
    body            TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, idempotency_key)
);

-- ---- step 1: monitors ----

CREATE TABLE monitors (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    name            TEXT NOT NULL,
    revision        BIGINT NOT NULL,           -- 1 upward; also the ETag
    spec            TEXT NOT NULL,             -- protocol::monitor::MonitorSpec as JSON
    enabled         BOOLEAN NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, id),
    UNIQUE (organisation_id, name)
);

-- Every specification a monitor ever had: what a stored result was judged by.
CREATE TABLE monitor_revisions (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    revision        BIGINT NOT NULL,
    spec            TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    deleted         BOOLEAN NOT NULL,          -- the revision that ended the monitor
    PRIMARY KEY (organisation_id, monitor_id, revision)
);

-- ---- the fleet ----

CREATE TABLE regions (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    name            TEXT NOT NULL,             -- slug
    created_at      BIGINT NOT NULL,
    first_agent_at  BIGINT,                    -- ["*"] means regions that have had an agent
    retired_at      BIGINT,
    PRIMARY KEY (organisation_id, id),
    UNIQUE (organisation_id, name)
);

CREATE TABLE enrollment_tokens (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    secret_hash     BLOB NOT NULL UNIQUE,    -- SHA-256
    region_id       BLOB NOT NULL,
    created_at      BIGINT NOT NULL,
    created_by      BLOB NOT NULL,
    expires_at      BIGINT NOT NULL,
    used_at         BIGINT,
    used_by         TEXT,                      -- agent id; the same key may ask again
    PRIMARY KEY (organisation_id, id)
);

CREATE TABLE agents (
    organisation_id  BLOB NOT NULL,
    id               TEXT NOT NULL UNIQUE,     -- fingerprint of the key, 64 hexadecimal digits
    public_key       BLOB NOT NULL,
    region_id        BLOB NOT NULL,
    state            TEXT NOT NULL,            -- enrolled quarantined revoked
    state_reason     TEXT,
    host_name        TEXT NOT NULL,
    version          TEXT NOT NULL,
    capabilities     TEXT NOT NULL,            -- JSON list
    enrolled_at      BIGINT NOT NULL,
    last_heartbeat_at BIGINT,
    session_id       BLOB,                    -- the newest session; an older one that still writes is stale
    wall_skew_ms     BIGINT,
    complete_through BIGINT,                   -- freshness: all its slots up to here are known
    accepted_version BIGINT,                   -- the set it says it works from
    lost_at          BIGINT,                   -- set while it is considered lost
    discredited_at   BIGINT,                   -- set while it has lost its vote: it fails what others see healthy
    PRIMARY KEY (organisation_id, id)
);
CREATE INDEX agents_region ON agents (organisation_id, region_id);
CREATE INDEX agents_discredited ON agents (organisation_id) WHERE discredited_at IS NOT NULL;

-- When agents had no vote: what is explained or tried again of that time leaves them out as well.
CREATE TABLE discredits (
    organisation_id BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    lost_at         BIGINT NOT NULL,
    regained_at     BIGINT,                    -- null while it has none
    PRIMARY KEY (organisation_id, agent_id, lost_at)
);
CREATE INDEX discredits_regained ON discredits (regained_at) WHERE regained_at IS NOT NULL;  -- retention

-- ---- step 2: assignments ----

-- Who probes what, now (ended_at null) and before. An agent's rows are taken only
-- for what is listed here; explain reads the past from it.
CREATE TABLE assignments (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    region_id       BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    revision        BIGINT NOT NULL,
    first_slot      BIGINT NOT NULL,
    anchor_ms       BIGINT NOT NULL,
    interval_ms     BIGINT NOT NULL,
    assigned_at     BIGINT NOT NULL,
    ended_at        BIGINT,
    last_slot       BIGINT,                    -- the last slot owned, once ended
    predecessor_through BIGINT,                -- how far the agent before had reported, same revision
    PRIMARY KEY (organisation_id, monitor_id, region_id, revision, agent_id, first_slot)
);
CREATE UNIQUE INDEX assignments_current ON assignments (organisation_id, monitor_id, region_id) WHERE ended_at IS NULL;
CREATE INDEX assignments_agent ON assignments (organisation_id, agent_id) WHERE ended_at IS NULL;
CREATE INDEX assignments_ended ON assignments (ended_at) WHERE ended_at IS NOT NULL;  -- retention

-- The newest signed set of each agent, ready to send, and its parts.
CREATE TABLE assignment_sets (
    organisation_id BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    version         BIGINT NOT NULL,
    content_hash    BLOB NOT NULL,           -- of the parts: unchanged content is only renewed
    content_version BIGINT NOT NULL,           -- the version that brought this content; reports under an older set say nothing about it
    envelope        BLOB NOT NULL,           -- encoded wire Envelope
    issued_at       BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, agent_id)
);
CREATE TABLE assignment_set_parts (
    organisation_id BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    part            BIGINT NOT NULL,
    payload         BLOB NOT NULL,
    PRIMARY KEY (organisation_id, agent_id, part)
);

-- ---- step 4: results ----

-- The watermark of each agent and lane; its row is locked by the commit that moves it.
CREATE TABLE agent_lanes (
    organisation_id BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    lane            BIGINT NOT NULL,           -- wire Lane: 1 live, 2 backlog
    next_number     BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, agent_id, lane)
);

-- Each stored batch, so that the same number with other bytes is noticed.
CREATE TABLE agent_batches (
    organisation_id BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    lane            BIGINT NOT NULL,
    number          BIGINT NOT NULL,
    payload_hash    BLOB NOT NULL,           -- SHA-256 of the envelope's payload
    stored          BIGINT NOT NULL,
    duplicates      BIGINT NOT NULL,
    refused         BIGINT NOT NULL,
    complete_through BIGINT,                   -- how far its agent then was; null: it did not say
    received_at     BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, agent_id, lane, number)
);
CREATE INDEX agent_batches_received ON agent_batches (received_at);  -- retention

-- One row a check. The key is the slot (or the burst), so the first commit wins.
CREATE TABLE results (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    region_id       BLOB NOT NULL,
    revision        BIGINT NOT NULL,
    slot            BIGINT NOT NULL,
    burst_id        BLOB NOT NULL,            -- nil for a slot's own check
    burst_index     BIGINT NOT NULL,
    agent_id        TEXT NOT NULL,
    lane            BIGINT NOT NULL,
    batch_number    BIGINT NOT NULL,
    due_us          BIGINT NOT NULL,
    started_us      BIGINT NOT NULL,
    ended_us        BIGINT NOT NULL,
    outcome         BIGINT NOT NULL,           -- wire Outcome
    reason          TEXT,
    message         TEXT,
    resolve_us      BIGINT,
    connect_us      BIGINT,
    tls_us          BIGINT,
    processing_us   BIGINT,
    transfer_us     BIGINT,
    address         TEXT,
    status          BIGINT,
    certificate_expires_s BIGINT,
    sample          BLOB,
    redirects       BIGINT NOT NULL,
    body_bytes      BIGINT NOT NULL,
    details         BLOB,                      -- wire Details, as sent
    undated         BOOLEAN NOT NULL,
    received_at     BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, monitor_id, region_id, revision, slot, burst_id, burst_index)
);
CREATE INDEX results_time ON results (organisation_id, monitor_id, due_us);
CREATE INDEX results_received ON results (received_at);  -- retention

-- Slots that were due and not observed, as ranges, with why (wire MissedReason).
CREATE TABLE missed_slots (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    region_id       BLOB NOT NULL,
    revision        BIGINT NOT NULL,
    first_slot      BIGINT NOT NULL,
    last_slot       BIGINT NOT NULL,
    agent_id        TEXT NOT NULL,
    reason          BIGINT NOT NULL,
    received_at     BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, monitor_id, region_id, revision, first_slot)
);
CREATE INDEX missed_slots_received ON missed_slots (received_at);  -- retention

-- ---- step 5: correlation ----

-- Regions that are not steadily up. No row, a fresh agent and a first slot behind it mean up.
CREATE TABLE region_states (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    region_id       BLOB NOT NULL,
    revision        BIGINT NOT NULL,
    state           TEXT NOT NULL,             -- up degraded down unknown
    since           BIGINT NOT NULL,           -- start of the first observation of the streak that moved it
    failures        BIGINT NOT NULL,           -- current streaks; at most one is above 0
    successes       BIGINT NOT NULL,
    streak_began    BIGINT,
    newest_slot     BIGINT NOT NULL,
    newest_at       BIGINT,                    -- start of the newest observation counted, vote or not
    broken_at       BIGINT,                    -- start of the newest that broke a streak
    burst_id        BLOB,                  -- the newest burst of which a check was counted
    burst_index     BIGINT,                    -- the highest of its checks that was counted
    burst_below     BIGINT,                    -- bit k: the check k below that was counted too
    observed_at     BIGINT,                    -- start of the newest real observation; null: none yet
    reason          TEXT,
    message         TEXT,
    PRIMARY KEY (organisation_id, monitor_id, region_id)
);
-- Whose agents may have to be compared is asked twice a second.
CREATE INDEX region_states_failing ON region_states (organisation_id) WHERE failures > 0;

-- Confirmation: the first failure of a streak asks every region of the monitor to look at once.
CREATE TABLE bursts (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    revision        BIGINT NOT NULL,
    region_id       BLOB NOT NULL,             -- whose failure asked
    agent_id        TEXT NOT NULL,             -- that saw it
    host            TEXT NOT NULL,             -- that the monitor asks: bursts against one are capped
    failures        BIGINT NOT NULL,           -- answers without a success after which a region stops
    asked_at        BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    settled_at      BIGINT,                    -- null while answers are waited for
    outcome         TEXT,                      -- answered expired ended
    PRIMARY KEY (organisation_id, id)
);
CREATE UNIQUE INDEX bursts_one_active ON bursts (organisation_id, monitor_id) WHERE settled_at IS NULL;
CREATE INDEX bursts_monitor ON bursts (organisation_id, monitor_id, asked_at);
CREATE INDEX bursts_asked ON bursts (organisation_id, asked_at);  -- caps
CREATE INDEX bursts_active ON bursts (expires_at) WHERE settled_at IS NULL;
CREATE INDEX bursts_old ON bursts (asked_at);  -- retention

-- Streaks of failures that asked for no burst, and why, where neither policy nor vote tells it.
CREATE TABLE bursts_kept_back (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    kept_at         BIGINT NOT NULL,
    region_id       BLOB NOT NULL,             -- whose failure would have asked
    reason          TEXT NOT NULL,             -- active rested discredited nobody_to_ask and the caps
    PRIMARY KEY (organisation_id, monitor_id, kept_at, region_id)
);
CREATE INDEX bursts_kept_back_old ON bursts_kept_back (kept_at);  -- retention

-- What each region's agent was asked in a burst, and what it answered.
CREATE TABLE burst_orders (
    organisation_id BLOB NOT NULL,
    burst_id        BLOB NOT NULL,
    region_id       BLOB NOT NULL,
    agent_id        TEXT NOT NULL,
    expires_at      BIGINT NOT NULL,           -- the burst's
    envelope        BLOB,                     -- encoded wire Envelope; null until a scheduler has signed it
    sent_at         BIGINT,                    -- first given to the agent's session
    failures        BIGINT NOT NULL,           -- answers without a success
    successes       BIGINT NOT NULL,
    answered_at     BIGINT,                    -- one success, or as many failures as were asked
    PRIMARY KEY (organisation_id, burst_id, region_id)
);
CREATE INDEX burst_orders_unsigned ON burst_orders (expires_at) WHERE envelope IS NULL;
CREATE INDEX burst_orders_agent ON burst_orders (agent_id, expires_at);
CREATE INDEX burst_orders_old ON burst_orders (expires_at);  -- retention

-- One row a monitor, made with it: the lock and generation under which verdicts change.
CREATE TABLE monitor_states (
    organisation_id BLOB NOT NULL,
    monitor_id      BLOB NOT NULL,
    generation      BIGINT NOT NULL,
    verdict         TEXT NOT NULL,             -- up degraded down unknown
    scope           TEXT,                      -- local regional global; null while nothing hurts
    since           BIGINT NOT NULL,
    turns           TEXT NOT NULL DEFAULT '[]', -- JSON: the newest 32 openings and resolutions of its incidents
    hold_until      BIGINT,                    -- a resolution is held till then because it flaps
    PRIMARY KEY (organisation_id, monitor_id)
);

-- ---- step 6: incidents ----

CREATE TABLE incidents (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    subject_kind    TEXT NOT NULL,             -- monitor agent region
    subject_id      TEXT NOT NULL,
    subject_name    TEXT NOT NULL,
    state           TEXT NOT NULL,             -- open acknowledged resolved
    verdict         TEXT NOT NULL,
    scope           TEXT NOT NULL,
    severity        TEXT NOT NULL,             -- critical warning info
    cause           TEXT,                      -- reason most regions give
    summary         TEXT NOT NULL,             -- one sentence for people
    regions         TEXT NOT NULL,             -- JSON: per region state, since, reason
    group_id        BLOB,
    started_at      BIGINT NOT NULL,           -- when the target began to hurt, by the quorum once there was one
    opened_at       BIGINT NOT NULL,           -- when we knew
    resolved_at     BIGINT,
    acknowledged_at BIGINT,
    acknowledged_by BLOB,
    last_event      BIGINT NOT NULL,           -- number of the newest event
    paged           BOOLEAN NOT NULL,          -- whether an opening notice was put in the outbox
    told_quietly    BOOLEAN NOT NULL DEFAULT FALSE, -- whether routes were told of it below the quorum
    flaps           BOOLEAN NOT NULL DEFAULT FALSE, -- whether its resolution was held once
    PRIMARY KEY (organisation_id, id)
);
CREATE UNIQUE INDEX incidents_one_open ON incidents (organisation_id, subject_kind, subject_id) WHERE resolved_at IS NULL;
CREATE INDEX incidents_unresolved ON incidents (organisation_id, id) WHERE resolved_at IS NULL;
CREATE INDEX incidents_subject ON incidents (organisation_id, subject_kind, subject_id, id);
CREATE INDEX incidents_started ON incidents (organisation_id, started_at);
CREATE INDEX incidents_about_us ON incidents (organisation_id, cause) WHERE resolved_at IS NULL AND subject_kind <> 'monitor';
CREATE INDEX incidents_grouped ON incidents (organisation_id, group_id) WHERE group_id IS NOT NULL;

-- Incidents of one cause, which are told together, through one of them.
CREATE TABLE incident_groups (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    cause_kind      TEXT NOT NULL,             -- parent certificate host address network region
    cause_value     TEXT NOT NULL,
    summary         TEXT NOT NULL,             -- one sentence for people
    lead_incident_id BLOB NOT NULL,           -- its deliveries are this incident's
    state           TEXT NOT NULL,             -- open resolved
    opened_at       BIGINT NOT NULL,
    resolved_at     BIGINT,
    paged           BOOLEAN NOT NULL,          -- whether its notice was put in the outbox
    quiet           BOOLEAN NOT NULL,          -- only for routes that name quiet incidents
    told_global     BOOLEAN NOT NULL,          -- whether people know that it hurts everywhere
    newest_started_at BIGINT NOT NULL,         -- when its newest member began to hurt
    interval_ms     BIGINT NOT NULL,           -- the longest interval of a member
    PRIMARY KEY (organisation_id, id)
);
CREATE UNIQUE INDEX incident_groups_lead ON incident_groups (organisation_id, lead_incident_id, quiet);
CREATE INDEX incident_groups_open ON incident_groups (organisation_id, id) WHERE state = 'open';

-- The timeline: every decision, with the evidence it was made on.
CREATE TABLE incident_events (
    organisation_id BLOB NOT NULL,
    incident_id     BLOB NOT NULL,
    number          BIGINT NOT NULL,           -- 1 upward
    at              BIGINT NOT NULL,
    kind            TEXT NOT NULL,             -- opened widened narrowed changed acknowledged resolved paged held comment …
    verdict         TEXT NOT NULL,
    scope           TEXT NOT NULL,
    summary         TEXT NOT NULL,
    evidence        TEXT NOT NULL,             -- JSON: the planner's input and reasons
    PRIMARY KEY (organisation_id, incident_id, number)
);

-- What people write to an incident. Each is an event of its timeline too, with the same number.
CREATE TABLE incident_comments (
    organisation_id BLOB NOT NULL,
    incident_id     BLOB NOT NULL,
    number          BIGINT NOT NULL,           -- of the event
    author_id       BLOB NOT NULL,
    text            TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, incident_id, number)
);

-- ---- step 7: notification ----

CREATE TABLE channels (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    name            TEXT NOT NULL,             -- slug
    kind            TEXT NOT NULL,             -- webhook email
    config          TEXT NOT NULL,             -- JSON, without secrets
    sealed_secret   BLOB,                    -- encrypted with the wrapping key, bound to organisation and id
    is_default      BOOLEAN NOT NULL,          -- told when a monitor names no channel
    state           TEXT NOT NULL,             -- active disabled
    state_reason    TEXT,
    failing_since   BIGINT,
    revision        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, id),
    UNIQUE (organisation_id, name)
);

-- Sends what matches to channels, besides those that a monitor names.
CREATE TABLE routes (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    name            TEXT NOT NULL,             -- slug
    matches         TEXT NOT NULL,             -- JSON: control-core's notification::route::Match
    channels        TEXT NOT NULL,             -- JSON: names; a channel that a route names stays
    revision        BIGINT NOT NULL,           -- 1 upward; also the ETag
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, id),
    UNIQUE (organisation_id, name)
);

-- What holds notices for a time. Ending one early moves ends_at and keeps the row,
-- and one that is over never comes back: explain asks what held at a past time.
CREATE TABLE silences (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    matchers        TEXT NOT NULL,             -- JSON: control-core's notification::hold::Matchers
    starts_at       BIGINT NOT NULL,
    ends_at         BIGINT NOT NULL,           -- the first ms at which it no longer holds
    comment         TEXT NOT NULL,
    revision        BIGINT NOT NULL,
    created_by      BLOB NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, id)
);
CREATE INDEX silences_ends ON silences (organisation_id, ends_at);

-- As silences, for work that is announced.
CREATE TABLE maintenance_windows (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    name            TEXT NOT NULL,
    matchers        TEXT NOT NULL,
    starts_at       BIGINT NOT NULL,
    ends_at         BIGINT NOT NULL,
    revision        BIGINT NOT NULL,
    created_by      BLOB NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, id)
);
CREATE INDEX maintenance_windows_ends ON maintenance_windows (organisation_id, ends_at);

-- What the correlator still has to turn into outbox rows; committed with the incident's change.
CREATE TABLE page_intents (
    organisation_id BLOB NOT NULL,
    incident_id     BLOB NOT NULL,
    event_number    BIGINT NOT NULL,
    kind            TEXT NOT NULL,             -- opened widened resolved
    quiet           BOOLEAN NOT NULL,          -- only for routes that name such incidents
    due_at          BIGINT NOT NULL,           -- moved while it is held
    hold_reason     TEXT,                      -- why it was held last, in words
    created_at      BIGINT NOT NULL,
    settled_at      BIGINT,                    -- turned into deliveries, or not needed any more
    outcome         TEXT,                      -- why, in words
    PRIMARY KEY (organisation_id, incident_id, event_number)
);
CREATE INDEX page_intents_due ON page_intents (organisation_id, due_at) WHERE settled_at IS NULL;

-- The outbox.
CREATE TABLE deliveries (
    organisation_id BLOB NOT NULL,
    id              BLOB NOT NULL,            -- also webhook-id and Message-ID: the same on every attempt
    incident_id     BLOB NOT NULL,
    event_number    BIGINT NOT NULL,
    channel_id      BLOB NOT NULL,
    recipient       TEXT NOT NULL,             -- address, or empty where the channel has just one
    kind            TEXT NOT NULL,             -- opened widened resolved
    notice          TEXT NOT NULL,             -- JSON: control-core's Notice, frozen when it was made
    state           TEXT NOT NULL,             -- pending delivered dead discarded superseded
    attempts        BIGINT NOT NULL,
    next_at         BIGINT NOT NULL,
    lease_holder    BLOB,
    lease_until     BIGINT,
    fence           BIGINT NOT NULL,           -- raised by each claim; checked by its completion
    outcome_unknown BOOLEAN NOT NULL,          -- an attempt may have arrived though nobody said so
    last_error      TEXT,
    created_at      BIGINT NOT NULL,
    settled_at      BIGINT,
    replayed_at     BIGINT,
    PRIMARY KEY (organisation_id, id),
    UNIQUE (organisation_id, incident_id, event_number, channel_id, recipient)
);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (organisation_id, id) WHERE state = 'dead';
