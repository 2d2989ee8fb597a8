import { InputBase, type InputBaseProps } from "@mui/material";

interface Props { value: string; placeholder: string; onWrite: (text: string) => void; minRows: number; maxRows: number; sx: InputBaseProps["sx"]; inputRef?: InputBaseProps["inputRef"]; id?: string; autoFocus?: boolean; onKeyDown?: InputBaseProps["onKeyDown"]; input?: InputBaseProps["inputProps"] }

/** The field that one writes into at length: it grows with the words and has no frame, which the card around it is. */
export function Writing({ value, placeholder, onWrite, minRows, maxRows, sx, inputRef, id, autoFocus, onKeyDown, input }: Props) {
  return (
    <InputBase
      id={id} inputRef={inputRef} multiline minRows={minRows} maxRows={maxRows} fullWidth autoFocus={autoFocus} value={value} placeholder={placeholder} onKeyDown={onKeyDown}
      onChange={(event) => onWrite(event.target.value)}
      inputProps={{ spellCheck: true, ...input }}
      sx={[{ "& textarea:focus-visible": { outline: "none" } }, ...(Array.isArray(sx) ? sx : [sx])]}
    />
  );
}
