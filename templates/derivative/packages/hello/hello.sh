#!/bin/sh
echo "hello from my-os"
