-- What every script begins with: cursors over its arguments, and the server's clock.
-- The lines above this one give each key of the script a name; they are generated.

local call = redis.call
local sub = string.sub
local argument = 0

local function take()
  argument = argument + 1
  return ARGV[argument]
end

-- Keys that only this call knows, such as one per result, follow the named ones.
local function take_declared()
  declared = declared + 1
  return KEYS[declared]
end

local function micros()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Beyond maxmemory a server refuses a script whose first write may need memory, but lets one go on
-- that has written before. What consumers write frees memory in the end, so it must get through.
local function may_exceed_memory()
  call('DEL', SPARE)
end
