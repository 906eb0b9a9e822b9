-- Removes all members up to a score and returns them, soonest first. One key and one argument.

local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1]) == #due then
  return due
end
return {}
