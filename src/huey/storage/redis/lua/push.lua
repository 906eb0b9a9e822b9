-- Puts plain messages into the queue, all at once.

while argument < #ARGV do
  local data = take()
  push(data, take())
end
