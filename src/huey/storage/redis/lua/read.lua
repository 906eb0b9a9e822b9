-- Sends one command about data whose time to live is not over, for servers whose fields cannot
-- expire. "POP" stands for reading and removing.

local command = take()
purge()
if command == 'POP' then
  local key = take()
  local value = call('HGET', RESULTS, key)
  call('HDEL', RESULTS, key)
  return value
end
return call(command, RESULTS, unpack(ARGV, argument + 1))
