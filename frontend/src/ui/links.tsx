/** MUI's things as links whose addresses the router checks. The only part of `ui` that knows there is a router. */
import { Box, Button, ButtonBase, IconButton, Link, type BoxProps, type ButtonBaseProps, type ButtonProps, type IconButtonProps, type LinkProps } from "@mui/material";
import { createLink } from "@tanstack/react-router";

export const BoxLink = createLink((props: BoxProps<"a">) => <Box component="a" {...props} />);
export const ButtonLink = createLink((props: ButtonProps<"a">) => <Button component="a" {...props} />);
export const ButtonBaseLink = createLink((props: ButtonBaseProps<"a">) => <ButtonBase component="a" {...props} />);
export const IconButtonLink = createLink((props: IconButtonProps<"a">) => <IconButton component="a" {...props} />);
export const TextLink = createLink((props: LinkProps<"a">) => <Link component="a" {...props} />);
