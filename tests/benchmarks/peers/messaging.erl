%% The benchmarks of messaging.py in Erlang: prints one JSON line a figure.
-module(messaging).
-export([main/0]).

-define(MESSAGES, 200000).
-define(TRIPS, 200000).
-define(RING, 100).
-define(HOPS, 1000000).
-define(ACTORS, 100000).

main() ->
    counting(), counting(), ask(), ring(), spawning(),
    halt(0).

figure(Name, Value, Unit) ->
    io:format("{\"peer\": \"erlang\", \"name\": \"~s\", \"value\": ~b, \"unit\": \"~s\"}~n",
              [Name, round(Value), Unit]).

timed(Fun) ->
    Begun = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Begun) / 1.0e9.

counter(Total) ->
    receive
        {add, N} -> counter(Total + N);
        {total, From, Ref} -> From ! {Ref, Total}, counter(Total)
    end.

total(Pid) ->
    Ref = erlang:monitor(process, Pid),
    Pid ! {total, self(), Ref},
    receive {Ref, Total} -> erlang:demonitor(Ref, [flush]), Total end.

counting() ->
    Pid = spawn(fun() -> counter(0) end),
    Seconds = timed(fun() ->
        [Pid ! {add, 1} || _ <- lists:seq(1, ?MESSAGES)],
        ?MESSAGES = total(Pid)
    end),
    figure("counting", ?MESSAGES / Seconds, "messages/s").

ask() ->
    Pid = spawn(fun() -> counter(0) end),
    Seconds = timed(fun() -> [total(Pid) || _ <- lists:seq(1, ?TRIPS)] end),
    figure("ask one by one", ?TRIPS / Seconds, "trips/s").

member(Next) ->
    receive
        {join, Pid} -> member(Pid);
        {hop, 0, Done} -> Done ! done, member(Next);
        {hop, N, Done} -> Next ! {hop, N - 1, Done}, member(Next)
    end.

ring() ->
    Members = [spawn(fun() -> member(none) end) || _ <- lists:seq(1, ?RING)],
    [First | Rest] = Members,
    [Member ! {join, Next} || {Member, Next} <- lists:zip(Members, Rest ++ [First])],
    Self = self(),
    Seconds = timed(fun() -> First ! {hop, ?HOPS, Self}, receive done -> ok end end),
    figure("ring of 100", ?HOPS / Seconds, "hops/s").

spawning() ->
    Before = erlang:memory(processes),
    Self = self(),
    Seconds = timed(fun() ->
        put(spawned, [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, ?ACTORS)]),
        Self ! done, receive done -> ok end
    end),
    figure("spawn", ?ACTORS / Seconds, "actors/s"),
    figure("idle actor", (erlang:memory(processes) - Before) / ?ACTORS, "bytes").
