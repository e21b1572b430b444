-- Forgets spans of dates that are over: the fence rises first.
--
-- KEYS: 1 the ledger's state, 2 the spans there are, 3 how much is held by all, and from 4 on the claims of each span.
-- ARGV: 1 the mark of the data, 2 the fence, 3 the reach, and from 4 on the number of each span.
if redis.call('HGET', KEYS[1], 'mark') ~= ARGV[1] then return 0 end
local state = redis.call('HMGET', KEYS[1], 'fence', 'reach')
local fence = math.max(tonumber(state[1]), tonumber(ARGV[2]))
local reach = math.max(tonumber(state[2]), tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), 'reach', string.format('%.0f', reach))
local gone = 0
for i = 4, #KEYS do
  redis.call('UNLINK', KEYS[i])
  redis.call('SREM', KEYS[2], ARGV[i])
  gone = gone + (redis.call('HGET', KEYS[3], ARGV[i]) or 0)
  redis.call('HDEL', KEYS[3], ARGV[i])
end
if gone > 0 then redis.call('HINCRBY', KEYS[3], 'sum', -gone) end
return 1
