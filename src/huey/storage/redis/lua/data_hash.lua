-- Key/value data in one hash, and counters in another.
-- A time to live belongs to the field where the server can do that; otherwise ("z" before the
-- milliseconds) it stands in a sorted set beside, and whoever looks next removes what is over.

call('HLEN', RESULTS) -- both fail on a wrong type before anything is written
call('HLEN', COUNTERS)

local purged = false
take() -- the other form of this part has an argument here

local function take_key()
  return take()
end

local take_counter = take_key

-- Returns how many values were removed.
local function purge()
  if purged or call('EXISTS', EXPIRY) == 0 then
    return 0
  end
  purged = true
  local removed = 0
  local now = string.format('%.0f', micros() / 1000)
  for _, entry in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, 200)) do
    -- The entry ends with the name of its value, so that a later value outlives it.
    local key = sub(entry, 1, -41)
    local value = call('HGET', RESULTS, key)
    if value and redis.sha1hex(value) == sub(entry, -40) then
      call('HDEL', RESULTS, key)
      removed = removed + 1
    end
    call('ZREM', EXPIRY, entry)
  end
  return removed
end

local function get(key)
  purge()
  return call('HGET', RESULTS, key)
end

local function has(key)
  purge()
  return call('HEXISTS', RESULTS, key) == 1
end

local function put(key, value, ttl)
  call('HSET', RESULTS, key, value)
  if ttl and sub(ttl, 1, 1) == 'z' then
    local at = string.format('%.0f', micros() / 1000 + tonumber(sub(ttl, 2)))
    call('ZADD', EXPIRY, at, key .. redis.sha1hex(value))
  elseif ttl and ttl ~= '' then
    call('HPEXPIRE', RESULTS, ttl, 'FIELDS', 1, key)
  elseif call('EXISTS', EXPIRY) == 1 then
    call('ZREM', EXPIRY, key .. redis.sha1hex(value))
  end
end

local put_result = put

local function delete(key)
  return call('HDEL', RESULTS, key)
end

local function count(counter, amount)
  return call('HINCRBY', COUNTERS, counter, amount)
end

local function get_counter(counter)
  return call('HGET', COUNTERS, counter)
end

local function set_counter(counter, value)
  call('HSET', COUNTERS, counter, value)
end

local function delete_counter(counter)
  call('HDEL', COUNTERS, counter)
end
