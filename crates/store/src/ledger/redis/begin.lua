-- Marks the data anew: what was claimed under another mark is not known for certain. The fence never falls.
--
-- KEYS: 1 the ledger's state. ARGV: 1 the mark, 2 the fence, 3 the reach.
local state = redis.call('HMGET', KEYS[1], 'fence', 'reach')
local fence = math.max(tonumber(state[1] or '0'), tonumber(ARGV[2]))
local reach = math.max(tonumber(state[2] or '0'), tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'mark', ARGV[1], 'fence', string.format('%.0f', fence), 'reach', string.format('%.0f', reach))
return fence
