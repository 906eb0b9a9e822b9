-- The places of a semaphore: a sorted set of members by the time when they took it, as Huey 3 reads
-- and writes it. When a place of ours ends stands beside; one of Huey 3 ends after the time to live
-- that the caller believes in.

local places, prefix = take_declared(), take()
local now = micros() / 1000000

local function free(member)
  call('ZREM', PLACES, prefix .. member)
  return call('ZREM', places, member)
end

-- Whether a place is held; one that is over is freed.
local function holds(member, ttl)
  local taken = call('ZSCORE', places, member)
  if not taken then
    return false
  end
  local ends = call('ZSCORE', PLACES, prefix .. member)
  if tonumber(ends or taken + ttl) > now then
    return true
  end
  free(member)
  return false
end

local function keep(member, ttl)
  call('ZADD', places, now, member)
  call('ZADD', PLACES, now + ttl, prefix .. member)
end
