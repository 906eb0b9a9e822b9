-- Key/value data and counters in keys of their own: results and counters expire.

local lifetime = take() -- of results and counters, in milliseconds; empty: for ever

local take_key = take_declared
local take_counter = take_declared

local function purge()
  return 0
end

local function get(key)
  return call('GET', key)
end

local function has(key)
  return call('EXISTS', key) == 1
end

local function put(key, value, ttl)
  if ttl and ttl ~= '' then
    call('SET', key, value, 'PX', ttl)
  else
    call('SET', key, value)
  end
end

local function put_result(key, value)
  put(key, value, lifetime)
end

local function delete(key)
  return call('DEL', key)
end

local function prolong(counter)
  if lifetime ~= '' then
    call('PEXPIRE', counter, lifetime)
  end
end

local function count(counter, amount)
  local value = call('INCRBY', counter, amount)
  prolong(counter)
  return value
end

local function get_counter(counter)
  return call('GET', counter)
end

local function set_counter(counter, value, ttl)
  call('SET', counter, value, 'PX', ttl)
end

local function delete_counter(counter)
  call('DEL', counter)
end
