-- In front of every script.
--
-- KEYS are what the calling node wants to hear of when it changes: Redis 7.0 tracks every key that a reading script declares.
-- All other keys are named by their parts. They share one hash tag, so that a cluster runs the scripts on one node.
local PREFIX = '{shadowcat}:'

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The indexes a session is in: all, its route's, its principal's. Members are ids, scores are times of expiry.
local function indexes(route, principal)
  local all = PREFIX .. 'sessions'
  return { all, all .. ':route:' .. route, all .. ':principal:' .. principal }
end

-- Notes that a session lives for `ttl` ms from now. An index dies with the last of its sessions.
local function enter(id, route, principal, ttl)
  for _, index in ipairs(indexes(route, principal)) do
    redis.call('ZADD', index, 'GT', now() + ttl, id)
    if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, ttl) end
  end
end

-- A key is there for the millisecond it expires in; so is its place in the indexes.
local function prune(index)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. now())
end

local function events_of(session, stream)
  return PREFIX .. 'events:' .. session .. ':' .. stream
end

local function streams_of(session)
  return PREFIX .. 'streams:' .. session
end

local function forget(session, stream)
  redis.call('DEL', PREFIX .. 'stream:' .. session .. ':' .. stream, events_of(session, stream))
end
