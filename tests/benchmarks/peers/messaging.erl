%% The benchmarks of messaging.py in Erlang/OTP: one figure a run, printed as one line of JSON.
%%
%%     erlc messaging.erl && erl -noshell -noinput -run messaging main ring 1000000
%%
%% Plain processes throughout, which are faster than gen_servers; a gen_server where it answers, as
%% that is what our ask is measured against (both have monitors and timeouts). The sender counts
%% down instead of making a list. Mailboxes are on the heap, the default: with
%% message_queue_data=off_heap the counting was the same.
-module(messaging).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2]).

-define(RING, 100).

main([Name, Count]) ->
    N = list_to_integer(Count),
    Value = case Name of
        "counting" -> warm(fun counting/1, N);
        "ring" -> warm(fun ring/1, N);
        "ask" -> warm(fun ask/1, N);
        "spawn" -> warm(fun spawning/1, N);
        "spawn_stop" -> warm(fun spawning_and_stopping/1, N);
        "idle" -> idle(N)
    end,
    io:format("{\"value\": ~f}~n", [float(Value)]),
    halt(0).

%% A figure is taken once the same has run with a tenth of the count.
warm(Fun, N) ->
    Fun(max(1, N div 10)),
    Fun(N).

rate(N, Fun) ->
    Begun = erlang:monotonic_time(nanosecond),
    Fun(),
    N / ((erlang:monotonic_time(nanosecond) - Begun) / 1.0e9).

%% Counting

counting(N) ->
    Counter = spawn_link(fun() -> counter(0) end),
    Rate = rate(N, fun() -> add(Counter, N), N = total(Counter) end),
    stop([Counter]),
    Rate.

counter(Total) ->
    receive
        {add, N} -> counter(Total + N);
        {total, From, Ref} -> From ! {Ref, Total}, counter(Total);
        {stop, From} -> From ! gone
    end.

add(_, 0) -> ok;
add(Counter, N) -> Counter ! {add, 1}, add(Counter, N - 1).

total(Counter) ->
    Ref = make_ref(),
    Counter ! {total, self(), Ref},
    receive {Ref, Total} -> Total end.

%% Ring

ring(N) ->
    Members = [spawn_link(fun() -> member(none) end) || _ <- lists:seq(1, ?RING)],
    [First | Rest] = Members,
    [Member ! {join, Next} || {Member, Next} <- lists:zip(Members, Rest ++ [First])],
    Self = self(),
    Rate = rate(N, fun() -> First ! {hop, N, Self}, receive done -> ok end end),
    stop(Members),
    Rate.

member(Next) ->
    receive
        {hop, 0, Done} -> Done ! done, member(Next);
        {hop, N, Done} -> Next ! {hop, N - 1, Done}, member(Next);
        {join, Pid} -> member(Pid);
        {stop, From} -> From ! gone
    end.

%% Ask: this process calls a gen_server

ask(N) ->
    {ok, Server} = gen_server:start_link(?MODULE, 0, []),
    Rate = rate(N, fun() -> calls(Server, N) end),
    gen_server:stop(Server),
    Rate.

calls(_, 0) -> ok;
calls(Server, N) -> 0 = gen_server:call(Server, total), calls(Server, N - 1).

init(Total) -> {ok, Total}.
handle_call(total, _From, Total) -> {reply, Total, Total}.
handle_cast({add, N}, Total) -> {noreply, Total + N}.

%% Spawn and stop: without links, which make the ends of many far slower

spawning(N) ->
    Rate = rate(N, fun() -> put(spawned, spawn_idle(N, [])) end),
    stop(erase(spawned)),
    Rate.

spawning_and_stopping(N) ->
    rate(N, fun() -> stop(spawn_idle(N, [])) end).

spawn_idle(0, Spawned) -> Spawned;
spawn_idle(N, Spawned) -> spawn_idle(N - 1, [spawn(fun idle/0) | Spawned]).

idle() -> receive {stop, From} -> From ! gone end.

stop(Pids) ->
    [Pid ! {stop, self()} || Pid <- Pids],
    [receive gone -> ok end || _ <- Pids].

%% Memory: megabytes by which the resident memory of beam grew

idle(N) ->
    erlang:garbage_collect(),
    Before = resident(),
    put(spawned, spawn_idle(N, [])),
    erlang:garbage_collect(),
    (resident() - Before) / 1.0e6.

resident() ->
    {ok, Statm} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Statm, <<" ">>, [global]),
    binary_to_integer(Pages) * list_to_integer(string:trim(os:cmd("getconf PAGESIZE"))).
