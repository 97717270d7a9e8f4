#!/usr/bin/env python3
"""Starts a program with a listening socket, as systemd, inetd and web servers do.

    listen.py PATH systemd|other|stdin PROGRAM [ARGUMENT...]
        systemd: the Unix socket is fd 3, told by LISTEN_FDS and LISTEN_PID
        other: the same, but LISTEN_PID names another process
        stdin: the Unix socket is fd 0
"""
import os
import socket
import sys

path, how, *command = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(64)
descriptor = 0 if how == "stdin" else 3
if server.fileno() != descriptor:
    os.dup2(server.fileno(), descriptor)
os.set_inheritable(descriptor, True)
if how != "stdin":
    process = os.getpid() if how == "systemd" else os.getppid()
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(process))
os.execvp(command[0], command)
